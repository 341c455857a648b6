import { Data, Decimal, Int64, Uint64 } from 'apache-arrow'
import type { RowIdKind } from '../../../../src/vastdb/wire/row-id.ts'
import { columnValues } from '../../../../src/vastdb/wire/values.ts'
import { badRequest } from '../protocol-error.ts'

/** Row ids as the `$row_id` column of a table. */
export const rowIdData = (kind: RowIdKind, ids: Float64Array): Data => {
  if (kind === 'plain') return new Data(new Uint64(), 0, ids.length, 0, [undefined, BigUint64Array.from(ids, BigInt), undefined] as never)
  const words = new BigUint64Array(2 * ids.length)
  ids.forEach((id, i) => {
    words[2 * i] = BigInt(id)
  })
  return new Data(new Decimal(0, 38, 128), 0, ids.length, 0, [undefined, new Uint32Array(words.buffer), undefined] as never)
}

/** Row ids as values of the column `vastdb_rowid`. */
export const rowIdValues = (ids: Float64Array): Data =>
  new Data(new Int64(), 0, ids.length, 0, [undefined, BigInt64Array.from(ids, BigInt), undefined] as never)

/** 2^48 - 1 stands for "none". */
const LAST_ROW_ID = 0xffff_ffff_fffe

/** Reads a column of row ids, of either kind. */
export const readRowIds = (data: Data): Float64Array =>
  Float64Array.from(columnValues(data), (value) => {
    if (typeof value !== 'bigint' || value < 0n || value > BigInt(LAST_ROW_ID)) throw badRequest(`${String(value)} is not a row id`)
    return Number(value)
  })
