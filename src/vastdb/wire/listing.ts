// Answers of the listings: bucket, schema and table names (as many as the listing has), then a vector of ObjectDetails.
import type { Builder } from 'flatbuffers'
import { type FlatTable, rootTable } from './flat-reader.ts'
import { flatBuffer, type Offset, writeOffsets, writeString, writeTable } from './flat-writer.ts'

/** An entry of a listing. Row and size figures are filled only when the listing was asked for statistics. */
export interface ObjectDetails {
  readonly name: string
  readonly properties: string
  /** Decimal integer text. */
  readonly handle?: string | undefined
  readonly numRows?: bigint
  readonly sizeInBytes?: bigint
  readonly numPartitions?: bigint
  readonly sortingKeyEnabled?: boolean
  /** Bit 63: sorting is done; the low 63 bits: score. */
  readonly sortingScore?: bigint
  readonly writeAmplification?: bigint
  readonly insertedRows?: bigint
  readonly partitioningKeyEnabled?: boolean
}

/** What is listed, and how many names stand before the entries. */
const PARENTS = { schemas: 1, tables: 2, views: 2, projections: 3 } as const

export type ListKind = keyof typeof PARENTS

export interface Listing {
  /** Bucket; bucket and schema; bucket, schema and table. */
  readonly parents: readonly string[]
  readonly entries: readonly ObjectDetails[]
}

const writeDetails = (builder: Builder, details: ObjectDetails): Offset => {
  const name = writeString(builder, details.name)
  const properties = writeString(builder, details.properties)
  const handle = details.handle === undefined ? 0 : writeString(builder, details.handle)
  return writeTable(builder, 11, () => {
    builder.addFieldOffset(0, name, 0)
    builder.addFieldOffset(1, properties, 0)
    builder.addFieldOffset(2, handle, 0)
    builder.addFieldInt64(3, BigInt.asIntN(64, details.numRows ?? 0n), 0n)
    builder.addFieldInt64(4, BigInt.asIntN(64, details.sizeInBytes ?? 0n), 0n)
    builder.addFieldInt64(5, BigInt.asIntN(64, details.numPartitions ?? 0n), 0n)
    builder.addFieldInt8(6, Number(details.sortingKeyEnabled ?? false), 0)
    builder.addFieldInt64(7, BigInt.asIntN(64, details.sortingScore ?? 0n), 0n)
    builder.addFieldInt64(8, details.writeAmplification ?? 0n, 0n)
    builder.addFieldInt64(9, details.insertedRows ?? 0n, 0n)
    builder.addFieldInt8(10, Number(details.partitioningKeyEnabled ?? false), 0)
  })
}

const readDetails = (table: FlatTable): ObjectDetails => ({
  name: table.requiredString(0),
  properties: table.string(1) ?? '',
  handle: table.string(2),
  numRows: table.u64(3),
  sizeInBytes: table.u64(4),
  numPartitions: table.u64(5),
  sortingKeyEnabled: table.bool(6),
  sortingScore: BigInt.asUintN(64, table.i64(7)),
  writeAmplification: table.i64(8),
  insertedRows: table.i64(9),
  partitioningKeyEnabled: table.bool(10),
})

export const encodeList = (kind: ListKind, { parents, entries }: Listing): Uint8Array => {
  const count = PARENTS[kind]
  if (parents.length !== count) throw new TypeError(`a listing of ${kind} needs ${count} names, found ${parents.length}`)
  return flatBuffer((builder) => {
    const names = parents.map((parent) => writeString(builder, parent))
    const vector = writeOffsets(
      builder,
      entries.map((entry) => writeDetails(builder, entry)),
    )
    return writeTable(builder, count + 1, () => {
      names.forEach((name, slot) => {
        builder.addFieldOffset(slot, name, 0)
      })
      builder.addFieldOffset(count, vector, 0)
    })
  })
}

export const decodeList = (kind: ListKind, bytes: Uint8Array): Listing => {
  const table = rootTable(bytes, `listing of ${kind}`)
  const count = PARENTS[kind]
  return {
    parents: Array.from({ length: count }, (_, slot) => table.requiredString(slot)),
    entries: table.tables(count, 'ObjectDetails').map(readDetails),
  }
}
