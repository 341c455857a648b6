import { and, eq, everything, isIn, isNull, not, nothing, or, type Predicate, related } from '../src/core/predicate.ts'
import { type ColumnName, type Table, type TableName, tables } from '../src/storage/schema.ts'
import type { LoadColumn, LoadKind } from './load.ts'

/** How rows of a dataset belong to flows. `hiding`: rows with `start_ns`, of which some may be hidden. */
export type Link = 'numbers flows' | 'of flows' | 'of flows, hiding'

interface Dataset {
  readonly table: TableName
  /** Which rows of the table are there for a reader. */
  readonly live: Predicate
  /** The same while rows of deletions are there (`DELETED_ROWS`); without it nothing is different then. */
  readonly liveBesideTrash?: Predicate
  readonly link?: Link
  /** Columns that change without a change of the flow. */
  readonly mutable?: readonly string[]
  /** The column that names an object. */
  readonly object?: string
}

const live = eq('deletion_id', '')

/** Objects that a live flow uses; with a condition, that such a flow uses. */
export const usedBy = (flows: Predicate = everything, negated = false): Predicate =>
  related('object_refs', { object_id: 'id' }, related('flows', { id: 'flow_id', timeline_id: 'timeline_id' }, and(live, flows)), negated)

const registered = and(live, eq('state', 'registered'))
const explicit = eq('explicit', true)
// The rule of `getVisibleObject`. It costs a look-up for each object, and holds for all of them where nothing is deleted.
const visible = or(and(explicit, isNull('trash_id')), usedBy())

/** Whether rows may be there of what is deleted already: the trash, and what workers have still to remove. */
export const DELETED_ROWS: readonly { readonly table: 'deletions' | 'deletion_requests'; readonly where: Predicate }[] = [
  { table: 'deletions', where: isIn('status', ['deleted', 'restoring', 'purging']) },
  { table: 'deletion_requests', where: isIn('status', ['created', 'started', 'error']) },
]

/**
 * What SQL can be about. The names are those of views; linked datasets have a column `flow`, the number of the flow, and those with
 * ids of objects a column `object` beside it, the key of the object.
 */
export const datasets = {
  sources: { table: 'sources', live },
  flows: { table: 'flows', live, link: 'numbers flows' },
  segments: { table: 'segments', live: everything, link: 'of flows, hiding', mutable: ['tags', 'tag_id'], object: 'object_id' },
  object_refs: { table: 'object_refs', live: everything, link: 'of flows', object: 'object_id' },
  objects: { table: 'objects', live: registered, liveBesideTrash: and(registered, visible), object: 'id' },
  // Where nothing is deleted, every timeline is a live flow's, and an object that was not made explicitly goes with its last reference
  // (`changeReferences`): only explicit ones have to be looked up.
  used_objects: {
    table: 'objects',
    live: and(registered, or(not(explicit), usedBy())),
    liveBesideTrash: and(registered, usedBy()),
    object: 'id',
  },
  unused_objects: {
    table: 'objects',
    live: and(registered, explicit, usedBy(everything, true)),
    liveBesideTrash: and(registered, visible, usedBy(everything, true)),
    object: 'id',
  },
  // Those that `objects` leaves out: allocations that no segment has used yet (they expire), and what only the trash uses.
  uncounted_objects: {
    table: 'objects',
    live: not(isNull('expires')),
    liveBesideTrash: or(not(isNull('expires')), not(visible)),
    object: 'id',
  },
  object_access: { table: 'object_access', live: everything, object: 'object_id' },
  object_instances: { table: 'object_instances', live: everything, object: 'object_id' },
  storage_backends: { table: 'storage_backends', live: everything },
  profiles: { table: 'profiles', live: everything },
  tags: { table: 'tags', live: and(live, isIn('entity_type', ['flow', 'source', 'segment'])) },
  deleted_sources: { table: 'sources', live: not(live) },
  deleted_flows: { table: 'flows', live: not(live) },
  deleted_objects: { table: 'objects', live: nothing, liveBesideTrash: and(registered, not(visible)) },
} as const satisfies Record<string, Dataset>

export type DatasetName = keyof typeof datasets
type ColumnOf<D extends DatasetName> = ColumnName<(typeof datasets)[D]['table']>

/** A wish of a report: these columns of these rows. */
export interface DatasetRequest {
  readonly dataset: DatasetName
  readonly columns: readonly string[]
  readonly where: Predicate
  /** Of a linked dataset: only rows of these flows. */
  readonly flows: Predicate
}

export const request = <D extends DatasetName>(
  dataset: D,
  columns: readonly ColumnOf<D>[],
  where: Predicate = everything,
  flows: Predicate = everything,
): DatasetRequest => ({ dataset, columns, where, flows })

export const datasetOf = (name: DatasetName): Dataset => datasets[name]

export const columnsOf = (name: DatasetName): LoadColumn[] => {
  const { table, object }: Dataset = datasets[name]
  const { columns } = tables[table] as Table
  return Object.entries(columns).map(([column, { arrow }]) => ({
    name: column,
    kind: column === object ? 'object' : loadKind(String(arrow)),
  }))
}

export const loadColumns = (name: DatasetName, wanted: readonly string[]): LoadColumn[] => {
  const known = new Map(columnsOf(name).map((column) => [column.name, column]))
  return wanted.map((column) => {
    const found = known.get(column)
    if (!found) throw new Error(`${name} has no column ${column}`)
    return found
  })
}

const loadKind = (arrow: string): LoadKind => {
  if (arrow === 'Utf8') return 'text'
  if (arrow === 'Int64') return 'int64'
  if (arrow === 'Int32') return 'int32'
  if (arrow === 'Float64') return 'float64'
  if (arrow === 'Bool') return 'bool'
  if (arrow.startsWith('Timestamp')) return 'time'
  throw new Error(`columns of type ${arrow} cannot be loaded`)
}

/** Every table that the answer to a request depends on. */
export const tablesRead = ({ dataset, where, flows }: DatasetRequest, besideTrash: boolean): Set<TableName> => {
  const { table, live, liveBesideTrash } = datasetOf(dataset)
  const found = new Set<TableName>([table])
  if (liveBesideTrash) for (const deleted of DELETED_ROWS) found.add(deleted.table)
  if (datasetOf(dataset).link?.startsWith('of flows')) found.add('flows')
  const visit = (predicate: Predicate): void => {
    if (predicate.kind === 'related') {
      found.add(predicate.table as TableName)
      visit(predicate.where)
    } else if (predicate.kind === 'not') visit(predicate.term)
    else if (predicate.kind === 'and' || predicate.kind === 'or') predicate.terms.forEach(visit)
  }
  visit(or(where, flows, besideTrash && liveBesideTrash ? liveBesideTrash : live))
  return found
}
