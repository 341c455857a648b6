import { Field } from 'apache-arrow'
import { TamsError } from '../../core/errors.ts'
import { type Database, hasFeature, type ProjectionColumns, type Table as TableHandle, type Transaction } from '../../vastdb/index.ts'
import { type Table, type TableName, tables } from '../schema.ts'

export interface CatalogOptions {
  readonly schema: string
  /** Undefined: where the cluster has no sorted tables. */
  readonly enableProjections: boolean | undefined
}

const NAMES = Object.keys(tables) as TableName[]

/**
 * Brings a schema up to this program's tables inside the caller's transaction: makes what is missing, takes nothing away, and gives the tables as
 * they then are. A schema with tables of somebody else, or with a table whose columns or key are others: `conflict`, naming them.
 */
export const openCatalog = async (tx: Transaction, options: CatalogOptions): Promise<ReadonlyMap<TableName, TableHandle>> => {
  await createSchemas(tx, options.schema)
  const existing = new Set((await tx.listTables(options.schema)).map(({ name }) => name))
  const foreign = [...existing].filter((name) => !Object.hasOwn(tables, name))
  if (foreign.length > 0)
    throw new TamsError('conflict', `VAST_SCHEMA: ${options.schema} holds tables that are not ours: ${foreign.toSorted().join(', ')}`)
  const handles = await Promise.all(
    NAMES.map(async (table) => {
      const handle = existing.has(table) ? await openTable(tx, options, table) : await createTable(tx, options, table)
      return [table, handle] as const
    }),
  )
  return new Map(handles)
}

/** The schema and those around it. */
const createSchemas = async (tx: Database, path: string): Promise<void> => {
  for (let cut = path.indexOf('/'); ; cut = path.indexOf('/', cut + 1)) {
    const schema = cut < 0 ? path : path.slice(0, cut)
    if (!(await tx.findSchema(schema))) await tx.createSchema(schema)
    if (cut < 0) return
  }
}

// A cluster has nullable columns only; `check-row.ts` keeps nulls out of the others.
const fieldsOf = (table: TableName): Field[] =>
  Object.entries((tables[table] as Table).columns).map(([name, { arrow }]) => new Field(name, arrow, true))

const createTable = async (tx: Transaction, { schema, enableProjections }: CatalogOptions, table: TableName): Promise<TableHandle> => {
  const { key }: Table = tables[table]
  const sorted = hasFeature(tx.scope.version, 'sorted tables')
  const handle = await tx.createTable({ schema, table }, fieldsOf(table), sorted ? { sortedColumns: key } : {})
  if (!(enableProjections ?? !sorted)) return handle
  for (const { name, ...chosen } of wantedProjections(table, sorted)) await tx.createProjection(handle, name, chosen)
  return handle
}

/** The projections of a table where projections are wanted: on a cluster without sorted tables the key is one of them. */
export const wantedProjections = (table: TableName, sortedTables: boolean): readonly (ProjectionColumns & { readonly name: string })[] => {
  const { key, projections, columns }: Table = tables[table]
  const wanted = sortedTables ? projections : [{ name: 'by_key', sorted: key, whole: true }, ...projections]
  return wanted.map(({ name, sorted, whole }) => {
    const carried = whole ? Object.keys(columns) : key
    return { name, sorted, unsorted: carried.filter((column) => !sorted.includes(column)) }
  })
}

const openTable = async (tx: Transaction, { schema }: CatalogOptions, table: TableName): Promise<TableHandle> => {
  const handle = await tx.table({ schema, table })
  const { key, columns }: Table = tables[table]
  if (handle.sortedColumns.length > 0 && handle.sortedColumns.join() !== key.join())
    throw new TamsError(
      'conflict',
      `Table ${schema}/${table} is sorted by (${handle.sortedColumns}), not (${key}): a changed key is a new table`,
    )
  const wanted = fieldsOf(table)
  for (const { name, type } of wanted) {
    const found = handle.fields.find((field) => field.name === name)
    if (found && String(found.type) !== String(type))
      throw new TamsError('conflict', `Column ${schema}/${table}.${name} is ${found.type}, not ${type}: a changed type is a new column`)
  }
  const missing = wanted.filter(({ name }) => !handle.fields.some((field) => field.name === name))
  const required = missing.find(({ name }) => !columns[name]?.nullable)
  if (required)
    throw new TamsError(
      'conflict',
      `Table ${schema}/${table} has no column ${required.name}, which must have a value: new columns are optional`,
    )
  if (missing.length === 0) return handle
  await tx.addColumns(handle, missing)
  return { ...handle, fields: [...handle.fields, ...missing] }
}
