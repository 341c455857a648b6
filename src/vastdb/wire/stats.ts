// Answers of the statistics requests: GetTableStatsResponse and GetProjectionTableStatsResponse.
import type { Builder } from 'flatbuffers'
import { type FlatTable, rootTable } from './flat-reader.ts'
import { flatBuffer, type Offset, writeOffsets, writeString, writeTable } from './flat-writer.ts'

/** Addresses of a cluster: IPv4, counted up in the last octet. */
export interface VipRange {
  readonly start: string
  readonly count: number
}

export interface VectorIndex {
  readonly column: string
  readonly distanceMetric: string
  readonly sqlFunction: string
  readonly clusterQuantization: string
  readonly searchQuantization: string
}

export interface TableStats {
  readonly numRows: bigint
  readonly sizeInBytes: bigint
  /** Whether clients choose the values of `vastdb_rowid`. */
  readonly externalRowIds: boolean
  readonly vips: readonly VipRange[]
  readonly sortingKeyEnabled: boolean
  /** Unsigned; bit 63: sorting is done; the low 63 bits: score. */
  readonly sortingScore: bigint
  readonly writeAmplification: bigint
  readonly insertedRows: bigint
  readonly vectorIndex: VectorIndex | undefined
  readonly partitioningKeyEnabled: boolean
  readonly numPartitions: bigint
}

export const emptyStats: TableStats = {
  numRows: 0n,
  sizeInBytes: 0n,
  externalRowIds: false,
  vips: [],
  sortingKeyEnabled: false,
  sortingScore: 0n,
  writeAmplification: 0n,
  insertedRows: 0n,
  vectorIndex: undefined,
  partitioningKeyEnabled: false,
  numPartitions: 0n,
}

const writeVips = (builder: Builder, vips: readonly VipRange[]): Offset =>
  writeOffsets(
    builder,
    vips.map(({ start, count }) => {
      const startAt = writeString(builder, start)
      return writeTable(builder, 2, () => {
        builder.addFieldOffset(0, startAt, 0)
        builder.addFieldInt16(1, count, 0)
      })
    }),
  )

const writeVectorIndex = (builder: Builder, index: VectorIndex): Offset => {
  const texts = [index.column, index.distanceMetric, index.sqlFunction, index.clusterQuantization, index.searchQuantization]
  const offsets = texts.map((text) => writeString(builder, text))
  return writeTable(builder, 6, () => {
    offsets.forEach((offset, slot) => {
      builder.addFieldOffset(slot, offset, 0)
    })
  })
}

export const encodeTableStats = (stats: TableStats): Uint8Array =>
  flatBuffer((builder) => {
    const vips = stats.vips.length > 0 ? writeVips(builder, stats.vips) : 0
    const vectorIndex = stats.vectorIndex === undefined ? 0 : writeVectorIndex(builder, stats.vectorIndex)
    return writeTable(builder, 13, () => {
      builder.addFieldInt64(0, stats.numRows, 0n)
      builder.addFieldInt64(1, stats.sizeInBytes, 0n)
      builder.addFieldInt8(2, Number(stats.externalRowIds), 0)
      builder.addFieldOffset(4, vips, 0)
      builder.addFieldInt8(5, Number(stats.sortingKeyEnabled), 0)
      builder.addFieldInt64(6, BigInt.asIntN(64, stats.sortingScore), 0n)
      builder.addFieldInt64(7, stats.writeAmplification, 0n)
      builder.addFieldInt64(8, stats.insertedRows, 0n)
      builder.addFieldOffset(9, vectorIndex, 0)
      builder.addFieldInt8(10, Number(stats.partitioningKeyEnabled), 0)
      builder.addFieldInt64(11, BigInt.asIntN(64, stats.numPartitions), 0n)
    })
  })

const readVectorIndex = (table: FlatTable): VectorIndex => ({
  column: table.requiredString(0),
  distanceMetric: table.requiredString(1),
  sqlFunction: table.requiredString(2),
  clusterQuantization: table.string(3) ?? '',
  searchQuantization: table.string(4) ?? '',
})

export const decodeTableStats = (bytes: Uint8Array): TableStats => {
  const table = rootTable(bytes, 'GetTableStatsResponse')
  const vectorIndex = table.table(9, 'VectorIndexMetadata')
  return {
    numRows: table.i64(0),
    sizeInBytes: table.i64(1),
    externalRowIds: table.bool(2),
    vips: table.tables(4, 'VipRange').map((range) => ({ start: range.requiredString(0), count: range.u16(1) })),
    sortingKeyEnabled: table.bool(5),
    sortingScore: BigInt.asUintN(64, table.i64(6)),
    writeAmplification: table.i64(7),
    insertedRows: table.i64(8),
    vectorIndex: vectorIndex === undefined ? undefined : readVectorIndex(vectorIndex),
    partitioningKeyEnabled: table.bool(10),
    numPartitions: table.u64(11),
  }
}

/** The units of the last two figures are not documented; the progress looks like a percentage. */
export interface ProjectionStats {
  readonly numRows: bigint
  readonly sizeInBytes: bigint
  readonly dirtyBlocksPercentage: bigint
  readonly initialSyncProgress: bigint
}

export const encodeProjectionStats = (stats: ProjectionStats): Uint8Array =>
  flatBuffer((builder) =>
    writeTable(builder, 4, () => {
      builder.addFieldInt64(0, stats.numRows, 0n)
      builder.addFieldInt64(1, stats.sizeInBytes, 0n)
      builder.addFieldInt64(2, stats.dirtyBlocksPercentage, 0n)
      builder.addFieldInt64(3, stats.initialSyncProgress, 0n)
    }),
  )

export const decodeProjectionStats = (bytes: Uint8Array): ProjectionStats => {
  const table = rootTable(bytes, 'GetProjectionTableStatsResponse')
  return { numRows: table.i64(0), sizeInBytes: table.i64(1), dirtyBlocksPercentage: table.i64(2), initialSyncProgress: table.i64(3) }
}
