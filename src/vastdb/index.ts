export { type ClientOptions, type TransactionOptions, VastClient } from './client.ts'
export { Database } from './database.ts'
export type { EndpointHealth, RequestKind } from './endpoints.ts'
export * from './errors.ts'
export type { ProjectionColumns } from './projections.ts'
export { type PreparedQuery, type Query, splitsFor } from './query.ts'
export { DEFAULT_RETRY, type RetryPolicy, type RetryTools, systemTools } from './retry.ts'
export { MAX_CELL, sliceBatch } from './slices.ts'
export type { CreateTable, Table, TableName } from './tables.ts'
export { Transaction } from './transaction.ts'
export { FEATURES, type Feature, hasFeature, parseServer, requireFeature, type ServerVersion } from './version.ts'
export { batchOf, batchOfData, batchOfRows, dataOf } from './wire/build.ts'
export type { ObjectDetails } from './wire/listing.ts'
export {
  anyOf,
  between,
  contains,
  eq,
  type Filter,
  ge,
  gt,
  isNull,
  isValid,
  le,
  lt,
  ne,
  oneOf,
  startsWith,
  type Term,
} from './wire/predicate.ts'
export { ROW_ID, type RowIdKind, rowIdField } from './wire/row-id.ts'
export type { ProjectionStats, TableStats } from './wire/stats.ts'
export { columnValues, type Value, valueAt } from './wire/values.ts'
export { UnsupportedTypeError, WireError } from './wire/wire-error.ts'
