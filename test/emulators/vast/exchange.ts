import type { Headers } from '../../../src/vastdb/wire/headers.ts'
import { decodePageRequest, encodePageAnswer } from '../../../src/vastdb/wire/paging.ts'
import type { Target } from '../../../src/vastdb/wire/target.ts'
import type { TableEntry } from './catalog.ts'
import { badRequest, notFound } from './protocol-error.ts'
import type { Transaction, Transactions } from './transactions.ts'

/** What the emulator announces and enforces. */
export interface ServerRules {
  /** `<major>.<minor>.<patch>.<protocol>` */
  readonly version: string
  /** At least 5.5: field metadata in column listings, 400 instead of 500 for a wrong sorting key. */
  readonly from55: boolean
  readonly buckets: readonly string[]
  /** Frames of a query answer: a keep-alive after every so many data frames; 0 for none. */
  readonly keepAliveEvery: number
  /** Rows of one chunk of a query answer at most; a sub-split may have several in one answer. */
  readonly chunkRows: number
}

export interface Exchange {
  readonly method: string
  readonly target: Target
  readonly headers: Headers
  readonly body: Uint8Array
  readonly rules: ServerRules
  readonly transactions: Transactions
  /** The transaction of the request, or one that is committed with its answer. */
  readonly transaction: Transaction
}

export interface Answer {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** A body that is sent piece by piece. */
  readonly frames?: readonly Uint8Array[]
}

export type Handler = (exchange: Exchange) => Answer

export const IMPORTS = 'vastdb-imported-objects'

export const bucketOf = ({ target, rules }: Exchange): string => {
  const { bucket } = target
  if (bucket === undefined || !rules.buckets.includes(bucket)) throw notFound(`bucket ${bucket ?? ''} does not exist`, 'NoSuchBucket')
  return bucket
}

export const schemaOf = (exchange: Exchange): { readonly bucket: string; readonly schema: string } => {
  const { schema } = exchange.target
  if (schema === undefined) throw badRequest('the path names no schema')
  return { bucket: bucketOf(exchange), schema }
}

export interface TablePath {
  readonly bucket: string
  readonly schema: string
  readonly name: string
}

export const tablePathOf = (exchange: Exchange): TablePath => {
  const { table } = exchange.target
  if (table === undefined) throw badRequest('the path names no table')
  return { ...schemaOf(exchange), name: table }
}

export const claimOf = ({ bucket, schema, name }: TablePath): string => `table ${bucket}/${schema}/${name}`

/** The table that a request is about: with `sub-table=vastdb-imported-objects` the companion. */
export const tableOf = (exchange: Exchange): TableEntry => {
  const { bucket, schema, name } = tablePathOf(exchange)
  const table = exchange.transaction.catalog.table(bucket, schema, name)
  const companion = exchange.target.params?.['sub-table']
  if (companion === undefined) return table
  if (companion !== IMPORTS || table.imports === undefined) throw notFound(`${name} has no sub-table ${companion}`)
  return table.imports
}

/** Sorted tables have wide row ids. */
export const rowIdKindOf = (table: TableEntry): 'plain' | 'wide' => (table.sortKey.length > 0 ? 'wide' : 'plain')

export interface Page<T> {
  readonly items: readonly T[]
  readonly headers: Readonly<Record<string, string>>
}

/** The page of `all` that the request's headers ask for. The cursor is a position in the list as it is now. */
export const pageOf = <T extends { readonly name: string }>(exchange: Exchange, all: readonly T[]): Page<T> => {
  const { exact, prefix = '', nextKey, maxKeys, countOnly } = decodePageRequest(exchange.headers)
  const matching = all.filter(({ name }) => (exact === undefined ? name.startsWith(prefix) : name === exact))
  if (countOnly) return { items: [], headers: encodePageAnswer({ nextKey: 0n, truncated: false, count: matching.length }) }
  const from = Number(nextKey)
  const items = matching.slice(from, from + Math.max(1, maxKeys))
  const end = from + items.length
  const truncated = end < matching.length
  return { items, headers: encodePageAnswer({ nextKey: truncated ? BigInt(end) : 0n, truncated, count: matching.length }) }
}
