import {
  Bool,
  type Data,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  Vector,
} from 'apache-arrow'
import { utf8Of } from './texts.ts'

/** Columns of a batch as plain buffers, which another thread can be given. Text is dictionary-encoded. */
export interface PackedBatch {
  readonly rows: number
  readonly columns: readonly PackedColumn[]
}

type Numbers = Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint8Array<ArrayBuffer>

interface PackedColumn {
  readonly name: string
  readonly nulls: number
  readonly valid: Uint8Array<ArrayBuffer> | undefined
  /** Int32Array also for codes of text; Uint8Array: bits. */
  readonly values: Numbers
  /** Of bits: where they begin. */
  readonly offset: number
  readonly texts?: { readonly size: number; readonly offsets: Int32Array<ArrayBuffer>; readonly bytes: Uint8Array<ArrayBuffer> }
}

/**
 * The batch is given away: buffers are moved where nothing else lies in them. Bits are copied, which slices share, and the texts of a
 * slice; a whole batch has texts of its own.
 */
export const packBatch = (batch: RecordBatch): { readonly packed: PackedBatch; readonly transfer: ArrayBuffer[] } => {
  const columns = batch.schema.fields.map(({ name }) => packColumn(name, dataOf(batch, name)))
  const transfer = columns.flatMap(({ valid, values, texts }) => [
    values.buffer,
    ...(valid ? [valid.buffer] : []),
    ...(texts ? [texts.offsets.buffer, texts.bytes.buffer] : []),
  ])
  return { packed: { rows: batch.numRows, columns }, transfer: [...new Set(transfer)] }
}

export const unpackBatch = ({ rows, columns }: PackedBatch): RecordBatch => {
  const children = columns.map((column) => unpackColumn(rows, column))
  const schema = new Schema(columns.map(({ name }, i) => new Field(name, (children[i] as Data).type, true)))
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }))
}

const dataOf = (batch: RecordBatch, name: string): Data => {
  const data = batch.getChild(name)?.data[0]
  if (!data) throw new Error(`a scanned batch has no column ${name}`)
  return data
}

const packColumn = (name: string, data: Data): PackedColumn => {
  const values = data.values as Numbers
  return {
    name,
    nulls: data.nullCount,
    valid: data.nullCount > 0 && data.nullBitmap.byteLength > 0 ? copy(data.nullBitmap as Uint8Array) : undefined,
    values: values instanceof Uint8Array ? copy(values) : own(values),
    offset: data.offset,
    ...(data.dictionary && { texts: packTexts(data.dictionary, isAlone(values) ? own : copy) }),
  }
}

const packTexts = (texts: Vector, take: typeof own) => {
  const { bytes, offsets } = utf8Of(texts)
  return { size: texts.length, offsets: take(offsets), bytes: take(bytes) }
}

type View = Int32Array | BigInt64Array | Float64Array | Uint8Array

const copy = <A extends View>(view: A): A & Numbers => view.slice() as A & Numbers

const own = <A extends View>(view: A): A & Numbers => (isAlone(view) ? (view as A & Numbers) : copy(view))

const isAlone = (view: View): boolean => view.buffer instanceof ArrayBuffer && view.byteLength === view.buffer.byteLength

const unpackColumn = (length: number, { nulls, valid, values, offset, texts }: PackedColumn): Data => {
  const common = { length, offset, nullCount: nulls, nullBitmap: valid ?? null }
  if (texts) {
    const dictionary = makeData({ type: new Utf8(), length: texts.size, nullCount: 0, valueOffsets: texts.offsets, data: texts.bytes })
    const type = new Dictionary(new Utf8(), new Int32())
    return makeData({ ...common, type, data: values as Int32Array, dictionary: new Vector([dictionary]) })
  }
  if (values instanceof Int32Array) return makeData({ ...common, type: new Int32(), data: values })
  if (values instanceof BigInt64Array) return makeData({ ...common, type: new Int64(), data: values })
  if (values instanceof Float64Array) return makeData({ ...common, type: new Float64(), data: values })
  return makeData({ ...common, type: new Bool(), data: values })
}
