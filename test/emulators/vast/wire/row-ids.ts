import { type Data, Decimal, Int64, Uint64 } from 'apache-arrow'
import { columnOf } from '../../../../src/vastdb/wire/column.ts'
import type { RowIdKind } from '../../../../src/vastdb/wire/row-id.ts'
import { columnValues } from '../../../../src/vastdb/wire/values.ts'
import { badRequest } from '../protocol-error.ts'

/** Row ids as the `$row_id` column of a table. */
export const rowIdData = (kind: RowIdKind, ids: Float64Array): Data => {
  if (kind === 'plain') return columnOf(new Uint64(), { length: ids.length, nulls: 0, values: BigUint64Array.from(ids, BigInt) })
  const words = new BigUint64Array(2 * ids.length)
  ids.forEach((id, i) => {
    words[2 * i] = BigInt(id)
  })
  return columnOf(new Decimal(0, 38, 128), { length: ids.length, nulls: 0, values: new Uint32Array(words.buffer) })
}

/** Row ids as values of the column `vastdb_rowid`. */
export const rowIdValues = (ids: Float64Array): Data =>
  columnOf(new Int64(), { length: ids.length, nulls: 0, values: BigInt64Array.from(ids, BigInt) })

/** 2^48 - 1 stands for "none". */
const LAST_ROW_ID = 0xffff_ffff_fffe

/** Reads a column of row ids, of either kind. */
export const readRowIds = (data: Data): Float64Array =>
  Float64Array.from(columnValues(data), (value) => {
    if (typeof value !== 'bigint' || value < 0n || value > BigInt(LAST_ROW_ID)) throw badRequest(`${String(value)} is not a row id`)
    return Number(value)
  })
