import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  type DuckDBAppender,
  DuckDBDataChunk,
  type DuckDBType,
  INTEGER,
  TIMESTAMP,
  UUID,
  VARCHAR,
} from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import type { Data, RecordBatch, Vector } from 'apache-arrow'
import { type Engine, LOADED } from './engine.ts'
import { type KeyForm, keyColumnsSql, OBJECT_KEY, WORDS, writeKey } from './object-keys.ts'
import { quoteName } from './quote-name.ts'
import { utf8Of } from './texts.ts'

/** `object`: text that names an object; beside it the view has `object`, a key for joining and grouping, and `object_text` and `object_form` (`object-keys.ts`). */
export type LoadKind = 'int32' | 'int64' | 'float64' | 'bool' | 'time' | 'text' | 'object'

export interface LoadColumn {
  readonly name: string
  readonly kind: LoadKind
}

/** A column that is not scanned but made from the batch: numbers, where −1 drops the row. */
export interface DerivedColumn {
  readonly name: string
  of(batch: RecordBatch): Int32Array<ArrayBuffer>
}

export interface LoadRequest {
  /** Of the table; unique in the engine. */
  readonly name: string
  /** Those that are kept; a batch may have more, for the derived column. */
  readonly columns: readonly LoadColumn[]
  readonly derived?: DerivedColumn | undefined
  readonly batches: AsyncIterable<RecordBatch>
}

export interface LoadedTable {
  /** What a view on the rows is made of: names and values as scanned, text in full. */
  readonly select: string
  /** Rows that came, also those that the derived column dropped. */
  readonly rowsScanned: number
  /** An estimate of the memory it takes. */
  readonly bytes: number
  drop(): Promise<void>
}

/** Of one chunk. */
export const CHUNK_ROWS = 2048

/**
 * Copies Arrow batches into a DuckDB table. Numbers go as whole arrays, 2,048 at a time; text that repeats goes as codes into a
 * dictionary of its own, which the view joins (text cell by cell is six times slower).
 */
export const load = async (engine: Engine, request: LoadRequest): Promise<LoadedTable> => {
  const { name, derived } = request
  const connection = await engine.connect()
  const created: string[] = []
  const drop = async (): Promise<void> => {
    for (const table of created.splice(0)) await engine.run(`drop table if exists ${LOADED}.${quoteName(table)}`)
  }
  const create = async (table: string, columns: string): Promise<void> => {
    await engine.run(`create table ${LOADED}.${quoteName(table)} (${columns})`)
    created.push(table)
  }
  const textTable = (i: number): string => `${name}_${i}`
  try {
    const iterator = request.batches[Symbol.asyncIterator]()
    let step = await iterator.next()
    // How a text column is kept is decided by its first batch.
    const first = step.done ? undefined : step.value
    const columns = request.columns.map((column) => columnLoader(column, first))
    const types = [...(derived ? [INTEGER] : []), ...columns.map(({ type }) => type)]
    const names = [...(derived ? [derived.name] : []), ...columns.map((column) => column.physical ?? column.name)]
    // A table needs a column; rows without any are counted by this one.
    if (types.length === 0) {
      types.push(BOOLEAN)
      names.push('present')
    }
    await create(name, names.map((column, i) => `${quoteName(column)} ${types[i]}`).join(', '))
    const appender = await connection.createAppender(name, LOADED)
    let rowsScanned = 0
    let bytes = 0
    try {
      while (!step.done) {
        const batch = step.value
        rowsScanned += batch.numRows
        bytes += appendBatch(appender, types, columns, derived, batch)
        for (const [i, column] of columns.entries()) {
          const texts = column.takeTexts?.() ?? []
          if (texts.length === 0) continue
          if (!created.includes(textTable(i))) await create(textTable(i), 'code UUID, value VARCHAR')
          bytes += appendTexts(await connection.createAppender(textTable(i), LOADED), UUID, texts)
        }
        step = await iterator.next()
      }
    } finally {
      appender.closeSync()
      await iterator.return?.()
    }
    const joins: string[] = []
    const selected = derived ? [`r.${quoteName(derived.name)}`] : []
    for (const [i, column] of columns.entries()) {
      const dictionary = column.dictionary?.()
      if (dictionary) {
        await create(textTable(i), 'code INTEGER, value VARCHAR')
        bytes += appendTexts(await connection.createAppender(textTable(i), LOADED), INTEGER, dictionary)
      }
      // A text that came in several batches is there several times.
      else if (created.includes(textTable(i)))
        await engine.run(`create or replace table ${LOADED}.${quoteName(textTable(i))} as
          select code, any_value(value) as value from ${LOADED}.${quoteName(textTable(i))} group by code`)
      const code = `r.${quoteName(column.physical ?? column.name)}`
      const joined = created.includes(textTable(i))
      if (joined) joins.push(`left join ${LOADED}.${quoteName(textTable(i))} d${i} on d${i}.code = ${code}`)
      selected.push(...column.select(code, joined ? `d${i}.value` : undefined))
    }
    const where = derived ? ` where r.${quoteName(derived.name)} >= 0` : ''
    const select = `select ${selected.join(', ') || 'r.present'} from ${LOADED}.${quoteName(name)} r ${joins.join(' ')}${where}`
    return { select, rowsScanned, bytes, drop }
  } catch (error) {
    await drop()
    throw error
  } finally {
    connection.disconnectSync()
  }
}

type RawVector = ReturnType<typeof duckdb.data_chunk_get_vector>

interface ColumnLoader {
  readonly name: string
  /** Name of the column in the table, where it is another. */
  readonly physical?: string
  readonly type: DuckDBType
  /** Gives a function that fills a vector with the rows `from` to `to` of the batch, and the bytes that the batch takes. */
  open(data: Data): { readonly bytes: number; fill(vector: RawVector, from: number, to: number): void }
  /** Texts of the codes, once all batches were opened. */
  dictionary?(): readonly Coded[]
  /** Texts of the last batch that cannot be told from their codes. */
  takeTexts?(): readonly Coded[]
  /** What a view shows: `code` is the column in the table, `text` what the code stands for where a table of texts is joined. */
  select(code: string, text: string | undefined): readonly string[]
}

interface Coded {
  readonly code: Int32Array<ArrayBuffer>
  readonly text: string
}

const columnLoader = ({ name, kind }: LoadColumn, first: RecordBatch | undefined): ColumnLoader => {
  const select = (code: string): string[] => [code]
  switch (kind) {
    case 'int32':
      return { name, type: INTEGER, select, open: (data) => numbers(data, data.values as Int32Array) }
    case 'int64':
      return { name, type: BIGINT, select, open: (data) => numbers(data, data.values as BigInt64Array) }
    case 'time':
      return { name, type: TIMESTAMP, select, open: (data) => numbers(data, data.values as BigInt64Array) }
    case 'float64':
      return { name, type: DOUBLE, select, open: (data) => numbers(data, data.values as Float64Array) }
    case 'bool':
      return { name, type: BOOLEAN, select, open: (data) => numbers(data, bitsToBytes(data)) }
    case 'text':
      return repeats(first, name) ? codedText(name) : plainText(name)
    case 'object':
      return keyedText(name)
    default:
      throw new Error(`unhandled ${kind satisfies never}`)
  }
}

const dataOf = (batch: RecordBatch, name: string): Data => {
  const data = batch.getChild(name)?.data[0]
  if (!data) throw new Error(`a scanned batch has no column ${name}`)
  return data
}

const repeats = (first: RecordBatch | undefined, name: string): boolean =>
  first !== undefined && first.numRows > CHUNK_ROWS && (dataOf(first, name).dictionary?.length ?? 0) * 4 <= first.numRows

type Numbers = Int32Array | BigInt64Array | Float64Array | Uint8Array

const numbers = (data: Data, values: Numbers, elements = 1) => {
  const width = values.BYTES_PER_ELEMENT * elements
  const validity = validityOf(data)
  return {
    bytes: data.length * width,
    fill(vector: RawVector, from: number, to: number): void {
      duckdb.copy_data_to_vector(vector, 0, bufferOf(values), values.byteOffset + from * width, (to - from) * width)
      setValidity(vector, validity, from, to)
    },
  }
}

const codedText = (name: string): ColumnLoader => {
  const known = new Map<string, number>()
  return {
    name,
    type: INTEGER,
    dictionary: () => Array.from(known, ([text, code]) => ({ text, code: Int32Array.of(code) })),
    select: (_, text) => [`${text} as ${quoteName(name)}`],
    open(data) {
      const texts = dictionaryOf(data, name)
      const codes = Int32Array.from({ length: texts.length }, (_, i) => {
        const text = texts.get(i) as string
        const code = known.get(text) ?? known.size
        if (code === known.size) known.set(text, code)
        return code
      })
      const inBatch = data.values as Int32Array
      const values = new Int32Array(data.length)
      for (let i = 0; i < values.length; i++) values[i] = codes[inBatch[i] ?? 0] ?? 0
      return numbers(data, values)
    },
  }
}

/** Ids of objects: as keys, and in full only those whose form is not that of the first one. */
const keyedText = (name: string): ColumnLoader => {
  let form: KeyForm | undefined
  let others: Coded[] = []
  // Copied by DuckDB before the next batch is opened, so their room can stay.
  let keyRoom = new Int32Array(0)
  let valueRoom = new Int32Array(0)
  return {
    name,
    physical: OBJECT_KEY,
    type: UUID,
    takeTexts: () => others.splice(0),
    select: (key, text) => keyColumnsSql(form ?? 'hex', key, text, quoteName(name)),
    open(data) {
      const texts = dictionaryOf(data, name)
      const { bytes, offsets } = utf8Of(texts)
      if (keyRoom.length < texts.length * WORDS) keyRoom = new Int32Array(texts.length * WORDS)
      const keys = keyRoom
      others = []
      for (let i = 0; i < texts.length; i++) {
        const found = writeKey(bytes, offsets[i] as number, offsets[i + 1] as number, keys, i * WORDS)
        form ??= found
        if (found !== form || found === 'other') others.push({ code: keys.slice(i * WORDS, (i + 1) * WORDS), text: texts.get(i) as string })
      }
      const codes = data.values as Int32Array
      if (isCounting(codes, data.length)) return numbers(data, keys, WORDS)
      if (valueRoom.length < data.length * WORDS) valueRoom = new Int32Array(data.length * WORDS)
      const values = valueRoom
      for (let i = 0; i < data.length; i++) {
        const at = (codes[i] ?? 0) * WORDS
        for (let word = 0; word < WORDS; word++) values[i * WORDS + word] = keys[at + word] ?? 0
      }
      return numbers(data, values, WORDS)
    },
  }
}

/** Codes of texts that all came once: 0, 1, 2, … */
const isCounting = (codes: Int32Array, length: number): boolean => {
  for (let i = 0; i < length; i++) if (codes[i] !== i) return false
  return true
}

const plainText = (name: string): ColumnLoader => ({
  name,
  type: VARCHAR,
  select: (code) => [code],
  open(data) {
    const texts = dictionaryOf(data, name)
    const codes = data.values as Int32Array
    const validity = validityOf(data)
    const { bytes, offsets } = utf8Of(texts)
    return {
      bytes: data.length * 16 + bytes.byteLength,
      fill(vector, from, to) {
        for (let i = from; i < to; i++)
          if (validity === undefined || ((validity[i >> 3] ?? 0) >> (i & 7)) & 1) {
            const code = codes[i] ?? 0
            duckdb.vector_assign_string_element_len(vector, i - from, bytes.subarray(offsets[code], offsets[code + 1]))
          }
        setValidity(vector, validity, from, to)
      },
    }
  },
})

const dictionaryOf = (data: Data, name: string): Vector => {
  if (!data.dictionary) throw new Error(`text column ${name} is not dictionary-encoded`)
  return data.dictionary
}

/** Bit set: the cell has a value. undefined: all have. From bit 0 on, whatever the slice. */
const validityOf = (data: Data): Uint8Array | undefined => {
  if (data.nullCount === 0 || !data.nullBitmap?.byteLength) return undefined
  return data.offset % 8 === 0 ? data.nullBitmap.subarray(data.offset >> 3) : shifted(data.nullBitmap, data.offset, data.length)
}

const shifted = (bits: Uint8Array, offset: number, length: number): Uint8Array => {
  const result = new Uint8Array((length + 7) >> 3)
  for (let i = 0; i < length; i++) {
    const at = offset + i
    if (((bits[at >> 3] ?? 0) >> (at & 7)) & 1) result[i >> 3] = (result[i >> 3] ?? 0) | (1 << (i & 7))
  }
  return result
}

const bitsToBytes = (data: Data): Uint8Array => {
  const bits = data.values as Uint8Array
  const bytes = new Uint8Array(data.length)
  for (let i = 0; i < bytes.length; i++) {
    const at = data.offset + i
    bytes[i] = ((bits[at >> 3] ?? 0) >> (at & 7)) & 1
  }
  return bytes
}

// Chunks begin at multiples of 2,048 rows, so their bits begin at a byte.
const setValidity = (vector: RawVector, validity: Uint8Array | undefined, from: number, to: number): void => {
  if (!validity) return
  duckdb.vector_ensure_validity_writable(vector)
  duckdb.copy_data_to_vector_validity(vector, 0, bufferOf(validity), validity.byteOffset + (from >> 3), (to - from + 7) >> 3)
}

const bufferOf = (view: ArrayBufferView): ArrayBuffer => {
  if (view.buffer instanceof ArrayBuffer) return view.buffer
  throw new Error('a scanned batch lies in shared memory')
}

const appendBatch = (
  appender: DuckDBAppender,
  types: readonly DuckDBType[],
  columns: readonly ColumnLoader[],
  derived: DerivedColumn | undefined,
  batch: RecordBatch,
): number => {
  const opened = columns.map((column) => column.open(dataOf(batch, column.name)))
  if (derived) {
    const values = derived.of(batch)
    opened.unshift({ bytes: values.byteLength, fill: (vector, from, to) => copyCodes(vector, values, from, to) })
  }
  for (let from = 0; from < batch.numRows; from += CHUNK_ROWS) {
    const to = Math.min(from + CHUNK_ROWS, batch.numRows)
    const chunk = DuckDBDataChunk.create(types, to - from)
    for (const [i, column] of opened.entries()) column.fill(duckdb.data_chunk_get_vector(chunk.chunk, i), from, to)
    appender.appendDataChunk(chunk)
  }
  return opened.reduce((sum, { bytes }) => sum + bytes, batch.numRows)
}

const copyCodes = (vector: RawVector, values: Int32Array<ArrayBuffer>, from: number, to: number): void =>
  duckdb.copy_data_to_vector(vector, 0, values.buffer, values.byteOffset + from * 4, (to - from) * 4)

/** `type`: of the codes. */
const appendTexts = (appender: DuckDBAppender, type: DuckDBType, texts: readonly Coded[]): number => {
  let bytes = 0
  for (let from = 0; from < texts.length; from += CHUNK_ROWS) {
    const part = texts.slice(from, from + CHUNK_ROWS)
    const chunk = DuckDBDataChunk.create([type, VARCHAR], part.length)
    const codes = Int32Array.from(part.flatMap(({ code }) => [...code]))
    duckdb.copy_data_to_vector(duckdb.data_chunk_get_vector(chunk.chunk, 0), 0, codes.buffer, 0, codes.byteLength)
    const vector = duckdb.data_chunk_get_vector(chunk.chunk, 1)
    for (const [i, { text }] of part.entries()) {
      duckdb.vector_assign_string_element(vector, i, text)
      bytes += 20 + text.length
    }
    appender.appendDataChunk(chunk)
  }
  appender.closeSync()
  return bytes
}

/** A new table of keys of objects, its only column, which grows by up to `CHUNK_ROWS` of them at a time; to be closed. */
export const openKeyTable = async (engine: Engine, name: string) => {
  const table = `${LOADED}.${quoteName(name)}`
  const drop = () => engine.run(`drop table if exists ${table}`)
  const connection = await engine.connect()
  const open = async (): Promise<DuckDBAppender> => {
    await engine.run(`create table ${table} (${OBJECT_KEY} UUID)`)
    return connection.createAppender(name, LOADED)
  }
  const appender = await open().catch(async (error: unknown) => {
    connection.disconnectSync()
    await drop()
    throw error
  })
  return {
    append(keys: Int32Array<ArrayBuffer>): void {
      const chunk = DuckDBDataChunk.create([UUID], keys.length / WORDS)
      duckdb.copy_data_to_vector(duckdb.data_chunk_get_vector(chunk.chunk, 0), 0, keys.buffer, keys.byteOffset, keys.byteLength)
      appender.appendDataChunk(chunk)
    },
    close(): void {
      try {
        appender.closeSync()
      } finally {
        connection.disconnectSync()
      }
    },
    drop,
  }
}
