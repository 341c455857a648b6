import { and, eq, isNull, not } from '../../core/predicate.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables } from '../../storage/tables.ts'
import { listAll } from '../list-all.ts'
import type { Tags } from '../storage-backend.ts'
import { moveTags, parseTags, removeTags, type TaggedEntity } from '../tags.ts'
import { type Finding, fault, type Repair } from './finding.ts'
import { inWindows, type Window, walk, within } from './walk.ts'

/** The rows by which tags are found are those of the records' own JSON, for what lives and for what lies in the trash. */
export async function* checkTags(tables: Tables): AsyncGenerator<Finding> {
  for (const [entity, table] of [
    ['flow', 'flows'],
    ['source', 'sources'],
  ] as const)
    yield* inWindows(tables, { table, size: 200 }, (tx, rows, window) => compare(tx, entity, rows, window, (id) => rewrite(table, id)))
  yield* inWindows(tables, { table: 'webhooks', size: 200 }, (tx, rows, window) => {
    const owners = rows.map(({ id, tags }) => ({ id, tags, deletion_id: '' }))
    return compare(tx, 'webhook', owners, window, (id) => rewrite('webhooks', id))
  })
  yield* checkSegmentTags(tables)
}

interface Identity {
  readonly id: string
  readonly deletion_id: string
}
interface Owner extends Identity {
  readonly tags: string
}

const keyOf = ({ id, deletion_id }: Identity): string => `${id} ${deletion_id}`
const print = (...cells: readonly unknown[]): string => JSON.stringify(cells)

const compare = async <O extends Owner>(
  tx: ReadTx,
  entity: TaggedEntity,
  owners: readonly O[],
  window: Window,
  mend: (owner: O | Identity) => Repair,
): Promise<readonly Finding[]> => {
  const found = new Map<string, Identity & { readonly cells: Set<string> }>()
  const where = and(eq('entity_type', entity), within('entity_id', window))
  for await (const row of walk(tx, 'tags', { where })) {
    const identity = { id: row.entity_id, deletion_id: row.deletion_id }
    const known = found.get(keyOf(identity)) ?? { ...identity, cells: new Set() }
    known.cells.add(print(row.name, row.position, row.value, row.empty_list))
    found.set(keyOf(identity), known)
  }
  const findings: Finding[] = []
  for (const owner of owners) {
    const cells = found.get(keyOf(owner))?.cells ?? new Set<string>()
    found.delete(keyOf(owner))
    const wanted = expected(parseTags(owner.tags))
    const [missing, excess] = [wanted.difference(cells), cells.difference(wanted)]
    if (missing.size + excess.size === 0) continue
    const problem = `of its tags ${named(missing)} cannot be found, ${named(excess)} can be found and are not there`
    findings.push(fault('tag-rows', `${entity} ${owner.id}`, problem, mend(owner)))
  }
  for (const { cells, ...identity } of found.values())
    findings.push(fault('tag-rows', `${entity} ${identity.id}`, `${cells.size} tags can be found of what is not there`, mend(identity)))
  return findings
}

const named = (cells: ReadonlySet<string>): string => (cells.size === 0 ? 'none' : [...cells].slice(0, 5).join(', '))

const expected = (tags: Tags): Set<string> =>
  new Set(
    Object.entries(tags).flatMap(([name, value]) => {
      const values = typeof value === 'string' ? [value] : value
      return values.length === 0 ? [print(name, 0, '', true)] : values.map((text, position) => print(name, position, text, false))
    }),
  )

const rewrite =
  (table: 'flows' | 'sources' | 'webhooks', { id, deletion_id }: Identity): Repair =>
  async (tx) => {
    const entity = ({ flows: 'flow', sources: 'source', webhooks: 'webhook' } as const)[table]
    await tx.lock([`${entity}:${id}`])
    const row = table === 'webhooks' ? await tx.find(table, [id]) : await tx.find(table, [id, deletion_id])
    await removeTags(tx, entity, id, deletion_id)
    if (row) await moveTags(tx, entity, id, deletion_id, deletion_id, parseTags(row.tags))
  }

/** Tagged segments in memory at once; each window reads all segments that have tags. */
const SEGMENTS = 20_000

/** Segments name their tags by an id that nothing else has, in whose order both are looked at. */
async function* checkSegmentTags(tables: Tables): AsyncGenerator<Finding> {
  for (let above: string | undefined; ; ) {
    const from = above
    const { findings, upTo } = await tables.read(async (tx) => {
      const behind = within('entity_id', from === undefined ? {} : { above: from })
      const query = { columns: ['entity_id'], where: and(eq('entity_type', 'segment'), behind), limit: SEGMENTS } as const
      const rows = await listAll(tx, 'tags', query)
      const upTo = rows.length < SEGMENTS ? undefined : rows.at(-1)?.entity_id
      const window = { ...(from !== undefined && { above: from }), ...(upTo !== undefined && { upTo }) }
      const owners: (Owner & Place)[] = []
      const tagged = { columns: [...PLACE, 'tags', 'tag_id'], where: and(not(isNull('tag_id')), within('tag_id', window)) } as const
      for await (const { tags, tag_id, ...place } of walk(tx, 'segments', tagged))
        owners.push({ ...place, id: tag_id ?? '', deletion_id: '', tags: tags ?? '{}' })
      return { findings: await compare(tx, 'segment', owners, window, rewriteSegment), upTo }
    })
    yield* findings
    if (upTo === undefined) return
    above = upTo
  }
}

const PLACE = ['flow_id', 'timeline_id', 'start_ns'] as const
type Place = Pick<Row<'segments'>, (typeof PLACE)[number]>

const rewriteSegment =
  (owner: Identity | (Identity & Place)): Repair =>
  async (tx) => {
    const { id } = owner
    // No other segment ever gets this id.
    if (!('flow_id' in owner)) return removeTags(tx, 'segment', id, '')
    await tx.lock([`flow:${owner.flow_id}`])
    const row = await tx.find('segments', [owner.flow_id, owner.timeline_id, owner.start_ns])
    if (row?.tag_id !== id) return
    await removeTags(tx, 'segment', id, '')
    await moveTags(tx, 'segment', id, '', '', parseTags(row.tags ?? '{}'))
  }
