import { invalid } from '../core/errors.ts'
import type { Related, Scalar } from '../core/predicate.ts'
import { type ColumnKind, checkCell, kindOf } from './check-row.ts'
import { type Table, type TableName, tables } from './schema.ts'

/** What every engine asks of a table's definition again and again. */
export interface TableFacts {
  readonly name: TableName
  readonly key: readonly string[]
  readonly columnNames: readonly string[]
  /** All columns but those of the key. */
  readonly cellNames: ReadonlySet<string>
  readonly kinds: ReadonlyMap<string, ColumnKind>
  readonly nullable: ReadonlySet<string>
  readonly lock: Table['lock']
}

const known = new Map<TableName, TableFacts>()

/** An Error for a name that no table has: predicates carry names as text. */
export const tableFacts = (name: TableName): TableFacts => {
  const found = known.get(name)
  if (found) return found
  if (!Object.hasOwn(tables, name)) throw new Error(`there is no table ${name}`)
  const table: Table = tables[name]
  const entries = Object.entries(table.columns)
  const facts: TableFacts = {
    name,
    key: table.key,
    columnNames: entries.map(([column]) => column),
    cellNames: new Set(entries.flatMap(([column]) => (table.key.includes(column) ? [] : column))),
    kinds: new Map(entries.map(([column, { arrow }]) => [column, kindOf(arrow)])),
    nullable: new Set(entries.filter(([, { nullable }]) => nullable).map(([column]) => column)),
    lock: table.lock,
  }
  known.set(name, facts)
  return facts
}

export const kindOfColumn = (facts: TableFacts, column: string): ColumnKind => {
  const kind = facts.kinds.get(column)
  if (!kind) throw new Error(`table ${facts.name} has no column ${column}`)
  return kind
}

/** Gives `value` when cells of `column` can be compared with it. Throws `invalid` for text that no row can hold. */
export const comparable = (facts: TableFacts, column: string, value: Scalar): Scalar => {
  const kind = kindOfColumn(facts, column)
  if (value === null) throw new Error(`${facts.name}.${column} is compared with null: use the null predicate`)
  if (typeof value === 'string' && kind === 'text') {
    // Text longer than a cell is only compared, so no limit; ill-formed text would be taken for other text.
    if (!value.isWellFormed()) throw invalid(column, 'is not well-formed Unicode')
    return value
  }
  checkCell(facts.name, column, value)
  return value
}

/** The pairs of `on`, checked: columns of the related table and of this one. */
export const relatedColumns = (
  facts: TableFacts,
  other: TableFacts,
  related: Related,
): readonly (readonly [theirs: string, ours: string])[] => {
  const links = Object.entries(related.on)
  if (links.length === 0) throw new Error(`a related predicate on ${other.name} has an empty "on"`)
  for (const [theirs, ours] of links)
    if (kindOfColumn(other, theirs) !== kindOfColumn(facts, ours))
      throw new Error(`${other.name}.${theirs} and ${facts.name}.${ours} differ in type`)
  return links
}
