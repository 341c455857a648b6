import { Field, Schema } from 'apache-arrow'
import { BadRequest, InternalServerError, InvalidArgument, NotFound } from './errors.ts'
import { pages, reading, run, type Scope } from './scope.ts'
import { hasFeature, requireFeature } from './version.ts'
import { encodeProperties } from './wire/control.ts'
import { decodeSchema, encodeSchemaMessage } from './wire/ipc.ts'
import { decodeList, type ObjectDetails } from './wire/listing.ts'
import type { RowIdKind } from './wire/row-id.ts'
import { decodeTableStats, type TableStats } from './wire/stats.ts'

export interface TableName {
  /** The path of the schema; nested schemas have `/` in it. */
  readonly schema: string
  readonly table: string
}

/** What is known of a table: plain data, good in any transaction that sees the same columns. */
export interface Table extends TableName {
  readonly fields: readonly Field[]
  /** The sorting key, in its order; empty for an unsorted table. */
  readonly sortedColumns: readonly string[]
  readonly rowIds: RowIdKind
}

const LIST_PAGE = 1000
const COLUMN_PAGE = 10_000

const indexOf = (fields: readonly Field[], name: string): number => {
  const index = fields.findIndex((field) => field.name === name)
  if (index < 0) throw new InvalidArgument(`no column ${JSON.stringify(name)} to sort by`)
  return index
}

/** The headers that name a sorting key: indexes into the table's columns. */
const sortHeaders = (fields: readonly Field[], columns: readonly string[]): Record<string, string> =>
  Object.fromEntries(columns.map((name, i) => [`tabular-sorted-column-${i}`, String(indexOf(fields, name))]))

export interface CreateTable {
  /** The sorting key, in its order; needs server 5.3. These columns cannot be updated. */
  readonly sortedColumns?: readonly string[]
  /** Announces that the client chooses the values of `vastdb_rowid`. */
  readonly externalRowIds?: boolean
}

export const createTable = async (
  scope: Scope,
  { schema, table }: TableName,
  fields: readonly Field[],
  options: CreateTable = {},
): Promise<Table> => {
  const { sortedColumns = [], externalRowIds = false } = options
  const names = new Set(fields.map((field) => field.name))
  if (names.size !== fields.length) throw new InvalidArgument(`${schema}/${table}: two columns have one name`)
  if (sortedColumns.length > 0) requireFeature(scope.version, 'sorted tables')
  if (externalRowIds) requireFeature(scope.version, 'row ids chosen by the client')
  const headers = { ...sortHeaders(fields, sortedColumns), ...(externalRowIds ? { 'use-external-row-ids-alloc': 'True' } : {}) }
  await run(scope, { method: 'POST', schema, table, command: 'table', headers, body: encodeSchemaMessage(new Schema([...fields])) })
  return { schema, table, fields, sortedColumns, rowIds: sortedColumns.length > 0 ? 'wide' : 'plain' }
}

/** Gives a table without a sorting key one. */
export const sortTable = async (scope: Scope, table: Table, columns: readonly string[]): Promise<void> => {
  requireFeature(scope.version, 'sorted tables')
  const headers = sortHeaders(table.fields, columns)
  await run(scope, { method: 'PUT', schema: table.schema, table: table.table, command: 'table', headers, body: encodeProperties() })
}

/** Renames a table, into another schema too. */
export const renameTable = async (scope: Scope, { schema, table }: TableName, to: TableName): Promise<void> => {
  const params = { 'tabular-new-table-name': `${to.schema}/${to.table}` }
  await run(scope, { method: 'PUT', schema, table, command: 'table', params, body: encodeProperties() })
}

export const dropTable = async (scope: Scope, { schema, table }: TableName): Promise<void> => {
  await run(scope, { method: 'DELETE', schema, table, command: 'table' })
}

export const listTables = async (
  scope: Scope,
  schema: string,
  { prefix, exact, stats }: { readonly prefix?: string; readonly exact?: string; readonly stats?: boolean } = {},
): Promise<ObjectDetails[]> => {
  const found: ObjectDetails[] = []
  const request = { maxKeys: LIST_PAGE, exact, prefix, stats: stats ?? false }
  for await (const page of pages(scope, { method: 'GET', schema, command: 'table' }, request, (body) => decodeList('tables', body))) {
    if (page.entries.length === 0) break
    found.push(...page.entries)
  }
  return found
}

export const tableStats = async (scope: Scope, { schema, table }: TableName): Promise<TableStats> => {
  const { body } = await run(scope, { method: 'GET', schema, table, command: 'stats' })
  return reading(`statistics of ${schema}/${table}`, () => decodeTableStats(body))
}

/** The columns as the server lists them, metadata included. */
export const listColumns = async (scope: Scope, { schema, table }: TableName): Promise<Schema> => {
  const fields: Field[] = []
  const metadata = new Map<string, string>()
  const operation = { method: 'GET', schema, table, command: 'column' } as const
  for await (const page of pages(scope, operation, { maxKeys: COLUMN_PAGE }, (body) => ({ schema: decodeSchema(body) }))) {
    fields.push(...page.schema.fields)
    for (const [key, value] of page.schema.metadata) metadata.set(key, value)
  }
  return new Schema(fields, metadata)
}

const sortIndex = (field: Field): number => Number(field.metadata.get('VAST:sort_index') ?? 0)

/** The sorting key of a table whose columns do not tell (servers below 5.5): 400 and 500 mean that there is none. */
const askSortedColumns = async (scope: Scope, { schema, table }: TableName): Promise<string[]> => {
  try {
    const names: string[] = []
    const operation = { method: 'GET', schema, table, command: 'sorted-columns' } as const
    for await (const page of pages(scope, operation, { maxKeys: COLUMN_PAGE }, (body) => ({ schema: decodeSchema(body) })))
      names.push(...page.schema.fields.map((field) => field.name))
    return names
  } catch (error) {
    if (error instanceof BadRequest || error instanceof InternalServerError) return []
    throw error
  }
}

const withoutMarks = (field: Field): Field => {
  const metadata = new Map([...field.metadata].filter(([key]) => !key.startsWith('VAST:')))
  return new Field(field.name, field.type, field.nullable, metadata)
}

/** Looks a table up: columns, sorting key, kind of row ids. A missing one: `NotFound`. */
export const openTable = async (scope: Scope, name: TableName): Promise<Table> => {
  const [entry] = await listTables(scope, name.schema, { exact: name.table })
  if (entry?.name !== name.table) throw new NotFound(`no table ${name.schema}/${name.table}`, { status: 404 })
  const columns = await listColumns(scope, name)
  const stats = await tableStats(scope, name)
  const marked = columns.fields
    .filter((field) => field.metadata.get('VAST:sort_type') === 'Sorted')
    .toSorted((a, b) => sortIndex(a) - sortIndex(b))
  const asks =
    stats.vectorIndex === undefined &&
    !hasFeature(scope.version, 'sort marks in the column listing') &&
    hasFeature(scope.version, 'sorted tables')
  const sortedColumns = asks ? await askSortedColumns(scope, name) : marked.map((field) => field.name)
  const wide = sortedColumns.length > 0 || stats.vectorIndex !== undefined || columns.metadata.has('VAST:partition_spec')
  const { schema, table } = name
  return { schema, table, fields: columns.fields.map(withoutMarks), sortedColumns, rowIds: wide ? 'wide' : 'plain' }
}
