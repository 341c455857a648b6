// Request bodies of DDL and import (namespace `tabular`). An empty text is written; an absent one is left out.
import type { Builder } from 'flatbuffers'
import { rootTable } from './flat-reader.ts'
import { flatBuffer, type Offset, writeBytes, writeOffsets, writeString, writeTable } from './flat-writer.ts'

const optionalStrings = (builder: Builder, texts: readonly (string | undefined)[]): Offset => {
  const offsets = texts.map((text) => (text === undefined ? 0 : writeString(builder, text)))
  return writeTable(builder, texts.length, () => {
    offsets.forEach((offset, slot) => {
      builder.addFieldOffset(slot, offset, 0)
    })
  })
}

/** CreateSchemaRequest, AlterSchemaRequest and AlterTableRequest are one table: `properties` at slot 0. */
export const encodeProperties = (properties?: string): Uint8Array => flatBuffer((builder) => optionalStrings(builder, [properties]))
export const decodeProperties = (bytes: Uint8Array): string | undefined => rootTable(bytes, 'properties request').string(0)

export interface AlterColumn {
  readonly properties?: string | undefined
  readonly stats?: string | undefined
}

export const encodeAlterColumn = ({ properties, stats }: AlterColumn = {}): Uint8Array =>
  flatBuffer((builder) => optionalStrings(builder, [properties, stats]))

export const decodeAlterColumn = (bytes: Uint8Array): AlterColumn => {
  const table = rootTable(bytes, 'AlterColumnRequest')
  return { properties: table.string(0), stats: table.string(1) }
}

export interface ProjectionColumn {
  readonly name: string
  readonly sorted: boolean
}

/** CreateProjectionRequest: sorted columns come first. */
export const encodeCreateProjection = (columns: readonly ProjectionColumn[]): Uint8Array =>
  flatBuffer((builder) => {
    const entries = columns.map(({ name, sorted }) => {
      const nameAt = writeString(builder, name)
      return writeTable(builder, 2, () => {
        builder.addFieldOffset(0, nameAt, 0)
        builder.addFieldInt8(1, Number(sorted), 0)
      })
    })
    const vector = writeOffsets(builder, entries)
    return writeTable(builder, 1, () => builder.addFieldOffset(0, vector, 0))
  })

export const decodeCreateProjection = (bytes: Uint8Array): ProjectionColumn[] =>
  rootTable(bytes, 'CreateProjectionRequest')
    .tables(0, 'Column')
    .map((column) => ({ name: column.requiredString(0), sorted: column.i8(1) === 1 }))

export interface AlterProjection {
  readonly newName?: string | undefined
  readonly properties?: string | undefined
}

export const encodeAlterProjection = ({ newName, properties }: AlterProjection): Uint8Array =>
  flatBuffer((builder) => optionalStrings(builder, [newName, properties]))

export const decodeAlterProjection = (bytes: Uint8Array): AlterProjection => {
  const table = rootTable(bytes, 'AlterProjectionTableRequest')
  return { newName: table.string(0), properties: table.string(1) }
}

export interface ImportFile {
  readonly bucket: string
  /** The full object key of a Parquet file. */
  readonly key: string
  /** An IPC stream of one row: constants for columns that the file does not have. Empty: none. */
  readonly partitions: Uint8Array
}

export interface ImportRequest {
  readonly files: readonly ImportFile[]
  /** Key columns of a zip import; empty for a plain one. */
  readonly keyNames: readonly string[]
}

export const encodeImport = ({ files, keyNames }: ImportRequest): Uint8Array =>
  flatBuffer((builder) => {
    const entries = files.map(({ bucket, key, partitions }) => {
      const format = writeString(builder, 'parquet')
      const bucketAt = writeString(builder, bucket)
      const keyAt = writeString(builder, key)
      const partitionsAt = partitions.length === 0 ? 0 : writeBytes(builder, partitions)
      return writeTable(builder, 4, () => {
        builder.addFieldOffset(0, format, 0)
        builder.addFieldOffset(1, bucketAt, 0)
        builder.addFieldOffset(2, keyAt, 0)
        builder.addFieldOffset(3, partitionsAt, 0)
      })
    })
    const filesAt = writeOffsets(builder, entries)
    const names = keyNames.map((name) => optionalStrings(builder, [name]))
    const namesAt = writeOffsets(builder, names)
    return writeTable(builder, 2, () => {
      builder.addFieldOffset(0, filesAt, 0)
      builder.addFieldOffset(1, namesAt, 0)
    })
  })

export const decodeImport = (bytes: Uint8Array): ImportRequest => {
  const request = rootTable(bytes, 'ImportDataRequest')
  return {
    files: request.tables(0, 'S3File').map((file) => ({
      bucket: file.requiredString(1),
      key: file.requiredString(2),
      partitions: file.bytes(3) ?? new Uint8Array(0),
    })),
    keyNames: request.tables(1, 'KeyName').map((name) => name.requiredString(0)),
  }
}
