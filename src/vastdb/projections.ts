import type { Field } from 'apache-arrow'
import { InvalidArgument } from './errors.ts'
import { pages, reading, run, type Scope } from './scope.ts'
import type { TableName } from './tables.ts'
import { encodeAlterProjection, encodeCreateProjection } from './wire/control.ts'
import { decodeSchema } from './wire/ipc.ts'
import { decodeList, type ObjectDetails } from './wire/listing.ts'
import { decodeProjectionStats, type ProjectionStats } from './wire/stats.ts'

const PAGE = 10_000

/** A copy of chosen columns that the server keeps, sorted by `sorted` within each block of 524,288 rows. */
export interface ProjectionColumns {
  readonly sorted: readonly string[]
  readonly unsorted: readonly string[]
}

export const createProjection = async (
  scope: Scope,
  { schema, table }: TableName,
  name: string,
  columns: ProjectionColumns,
): Promise<void> => {
  if (columns.sorted.length === 0) throw new InvalidArgument(`projection ${name}: at least one sorted column is needed`)
  const body = encodeCreateProjection([
    ...columns.sorted.map((column) => ({ name: column, sorted: true })),
    ...columns.unsorted.map((column) => ({ name: column, sorted: false })),
  ])
  await run(scope, { method: 'POST', schema, table, command: 'projection', params: { name }, body })
}

export const renameProjection = async (scope: Scope, { schema, table }: TableName, name: string, newName: string): Promise<void> => {
  await run(scope, { method: 'PUT', schema, table, command: 'projection', params: { name }, body: encodeAlterProjection({ newName }) })
}

export const dropProjection = async (scope: Scope, { schema, table }: TableName, name: string): Promise<void> => {
  await run(scope, { method: 'DELETE', schema, table, command: 'projection', params: { name } })
}

export const listProjections = async (
  scope: Scope,
  { schema, table }: TableName,
  { exact, stats }: { readonly exact?: string; readonly stats?: boolean } = {},
): Promise<ObjectDetails[]> => {
  const found: ObjectDetails[] = []
  const operation = { method: 'GET', schema, table, command: 'projection' } as const
  const request = { maxKeys: PAGE, exact, stats: stats ?? false }
  for await (const page of pages(scope, operation, request, (body) => decodeList('projections', body))) {
    if (page.entries.length === 0) break
    found.push(...page.entries)
  }
  return found
}

export const projectionStats = async (scope: Scope, { schema, table }: TableName, name: string): Promise<ProjectionStats> => {
  const { body } = await run(scope, { method: 'GET', schema, table, command: 'projection-stats', params: { name } })
  return reading(`statistics of projection ${name}`, () => decodeProjectionStats(body))
}

export const projectionColumns = async (scope: Scope, { schema, table }: TableName, name: string): Promise<Field[]> => {
  const fields: Field[] = []
  const operation = { method: 'GET', schema, table, command: 'projection-columns', params: { name } } as const
  for await (const page of pages(scope, operation, { maxKeys: PAGE }, (body) => ({ schema: decodeSchema(body) })))
    fields.push(...page.schema.fields)
  return fields
}
