import { type Data, Dictionary, Field, Int32, makeData, RecordBatch, Schema, Struct, Utf8, Vector } from 'apache-arrow'
import { type Table, tables } from '../schema.ts'
import type { ColumnBuffers } from './scan-protocol.ts'
import type { TableInfo } from './table-info.ts'

/** Types of a scan: those of the schema, but text as a dictionary of its own for each batch. */
export const scanSchema = (info: TableInfo, columns: readonly string[]): Schema =>
  new Schema(
    columns.map((column, i) => {
      const type = (tables[info.name] as Table).columns[column]?.arrow
      if (!type) throw new Error(`table ${info.name} has no column ${column}`)
      return new Field(
        column,
        info.kinds.get(column) === 'text' ? new Dictionary(new Utf8(), new Int32(), i) : type,
        info.nullable.has(column),
      )
    }),
  )

/** The worker's buffers as Arrow, without a copy. */
export const recordBatch = (schema: Schema, rows: number, columns: readonly ColumnBuffers[]): RecordBatch => {
  const children = schema.fields.map((field, i) => {
    const buffers = columns[i]
    if (!buffers) throw new Error(`a batch of ${columns.length} columns has none for ${field.name}`)
    return columnData(field, rows, buffers)
  })
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }))
}

const columnData = (field: Field, length: number, { nulls, valid, data, dictionary }: ColumnBuffers): Data => {
  const common = { length, nullCount: nulls, nullBitmap: valid ?? null }
  if (!dictionary) return makeData({ ...common, type: field.type, data } as Parameters<typeof makeData>[0])
  const texts = makeData({
    type: new Utf8(),
    length: dictionary.size,
    nullCount: 0,
    valueOffsets: dictionary.offsets,
    data: dictionary.bytes,
  })
  const type = field.type as Dictionary<Utf8, Int32>
  return makeData({ ...common, type, data: data as Int32Array, dictionary: new Vector([texts]) })
}
