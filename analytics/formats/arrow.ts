import {
  Bool,
  type Data,
  type DataType,
  Decimal,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Timestamp,
  TimeUnit,
  Utf8,
  Vector,
} from 'apache-arrow'
import type { Cell, ResultColumn, ResultTable } from '../result.ts'
import { textOf } from './csv.ts'

const ROWS_AT_ONCE = 16_384
const DECIMAL_DIGITS = 38
const DECIMAL_LIMIT = 10n ** BigInt(DECIMAL_DIGITS)

/** With text in the place of decimal columns that have a value of 39 digits: DuckDB's integers reach a little beyond. */
export const portable = (table: ResultTable): ResultTable => {
  const isTooWide = (cell: Cell): boolean => typeof cell === 'bigint' && (cell >= DECIMAL_LIMIT || cell <= -DECIMAL_LIMIT)
  const wide = new Set(
    table.columns.flatMap(({ kind }, i) => (kind === 'decimal' && table.rows.some((row) => isTooWide(row[i] ?? null)) ? [i] : [])),
  )
  if (wide.size === 0) return table
  const cellOf = (cell: Cell, i: number): Cell => (cell === null || !wide.has(i) ? cell : textOf(table.columns[i] as ResultColumn, cell))
  return {
    ...table,
    columns: table.columns.map((column, i) => (wide.has(i) ? { name: column.name, kind: 'text', scale: 0 } : column)),
    rows: table.rows.map((row) => row.map(cellOf)),
  }
}

/**
 * The IPC stream: int64, float64, bool, utf8, timestamp[us, UTC]; sums that may be beyond 64 bits are decimal128(38), nested values
 * are JSON text.
 */
export async function* arrowStream(result: ResultTable): AsyncGenerator<Uint8Array> {
  const table = portable(result)
  const schema = new Schema(table.columns.map((column) => new Field(column.name, typeOf(column), true)))
  const writer = new RecordBatchStreamWriter()
  writer.reset(undefined, schema)
  for (const batch of recordBatches(table, schema, columnData)) writer.write(batch)
  writer.finish()
  for await (const part of writer) yield part
}

/** For `load`: text as dictionaries, and what it has no kind for as text. */
export function* loadBatches(table: ResultTable): Generator<RecordBatch> {
  const schema = new Schema(
    table.columns.map(({ kind }, i) => {
      const type = LOADABLE.has(kind) ? typeOf({ name: '', kind, scale: 0 }) : new Dictionary(new Utf8(), new Int32(), i)
      return new Field(loadName(i), type, true)
    }),
  )
  yield* recordBatches(table, schema, (column, cells) =>
    LOADABLE.has(column.kind) ? columnData(column, cells) : dictionaryData(column, cells),
  )
}

export const LOADABLE: ReadonlySet<string> = new Set(['int64', 'float64', 'bool', 'time'])
export const loadName = (column: number): string => `c${column}`

function* recordBatches(
  { columns, rows }: ResultTable,
  schema: Schema,
  dataOf: (column: ResultColumn, cells: readonly Cell[]) => Data,
): Generator<RecordBatch> {
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const part = rows.slice(from, from + ROWS_AT_ONCE)
    const children = columns.map((column, i) =>
      dataOf(
        column,
        part.map((row) => row[i] ?? null),
      ),
    )
    yield new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: part.length, nullCount: 0, children }))
  }
}

const typeOf = ({ kind, scale }: ResultColumn): DataType => {
  switch (kind) {
    case 'int64':
      return new Int64()
    case 'float64':
      return new Float64()
    case 'bool':
      return new Bool()
    case 'time':
      return new Timestamp(TimeUnit.MICROSECOND, 'UTC')
    case 'decimal':
      return new Decimal(scale, DECIMAL_DIGITS, 128)
    case 'text':
    case 'json':
      return new Utf8()
    default:
      throw new Error(`unhandled ${kind satisfies never}`)
  }
}

const columnData = (column: ResultColumn, cells: readonly Cell[]): Data => {
  const common = { type: typeOf(column), length: cells.length, ...validity(cells) }
  switch (column.kind) {
    case 'int64':
    case 'time':
      return make({ ...common, data: BigInt64Array.from(cells, (cell) => (cell ?? 0n) as bigint) })
    case 'float64':
      return make({ ...common, data: Float64Array.from(cells, (cell) => (cell ?? 0) as number) })
    case 'bool':
      return make({ ...common, data: bits(cells.map((cell) => cell === true)) })
    case 'decimal':
      return make({ ...common, data: words(cells) })
    case 'text':
    case 'json':
      return make({ ...common, ...utf8(cells.map((cell) => (cell === null ? '' : textOf(column, cell)))) })
    default:
      throw new Error(`unhandled ${column.kind satisfies never}`)
  }
}

const dictionaryData = (column: ResultColumn, cells: readonly Cell[]): Data => {
  const texts = cells.map((cell) => (cell === null ? '' : textOf(column, cell)))
  const values = make({ type: new Utf8(), length: texts.length, nullCount: 0, ...utf8(texts) })
  const codes = Int32Array.from(texts, (_, i) => i)
  const type = new Dictionary(new Utf8(), new Int32())
  return make({ type, length: cells.length, ...validity(cells), data: codes, dictionary: new Vector([values]) })
}

// The overloads of `makeData` are by static type; here the type is a value.
const make = (props: { readonly type: DataType; readonly length: number; readonly [name: string]: unknown }): Data =>
  makeData(props as unknown as Parameters<typeof makeData>[0])

const bits = (values: readonly boolean[]): Uint8Array => {
  const result = new Uint8Array((values.length + 7) >> 3)
  for (const [i, value] of values.entries()) if (value) result[i >> 3] = (result[i >> 3] ?? 0) | (1 << (i & 7))
  return result
}

const validity = (cells: readonly Cell[]) => {
  const nullCount = cells.reduce((count: number, cell) => (cell === null ? count + 1 : count), 0)
  return { nullCount, nullBitmap: nullCount === 0 ? null : bits(cells.map((cell) => cell !== null)) }
}

const words = (cells: readonly Cell[]): Uint32Array => {
  const result = new Uint32Array(cells.length * 4)
  for (const [i, cell] of cells.entries())
    for (let word = 0; word < 4; word++) result[i * 4 + word] = Number(BigInt.asUintN(32, ((cell ?? 0n) as bigint) >> BigInt(32 * word)))
  return result
}

const utf8 = (texts: readonly string[]) => {
  const parts = texts.map((text) => Buffer.from(text))
  const valueOffsets = new Int32Array(parts.length + 1)
  for (const [i, part] of parts.entries()) valueOffsets[i + 1] = (valueOffsets[i] ?? 0) + part.byteLength
  return { valueOffsets, data: Buffer.concat(parts) }
}
