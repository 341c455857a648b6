// Result chunks out of data frames. Per sub-split the messages are small IPC streams of one or more leaf columns each; when all leaves of the
// projection are there, they are one chunk, and the next row id of the frame that completed it is the new cursor of the sub-split.
import { type Data, type DataType, Field, type RecordBatch, Schema } from 'apache-arrow'
import { batchOfData } from './build.ts'
import { concatData } from './combine.ts'
import { encodeData, type Frame } from './frames.ts'
import { type EncodeOptions, encodeColumnsMessage, encodeEnd, encodeSchemaMessage } from './ipc.ts'
import { type Columns, readColumns } from './ipc-batch.ts'
import { joinLeaves, splitLeaves } from './leaf-columns.ts'
import { leafCount } from './leaves.ts'
import { WireError } from './wire-error.ts'

export interface Chunk {
  readonly stream: number
  /** Where the sub-split goes on; `FINISHED` when there is no more. */
  readonly nextRowId: bigint
  /** The selected columns; with none selected a batch of no columns that counts the rows. */
  readonly batch: RecordBatch
}

interface StreamState {
  schema: Schema | undefined
  batches: Columns[]
  leaves: Data[]
}

type DataFrame = Extract<Frame, { readonly kind: 'data' }>

export class ChunkAssembler {
  readonly #fields: readonly Field[]
  readonly #expected: number
  readonly #streams = new Map<number, StreamState>()

  /** @param fields the selected columns, in the order of the request */
  constructor(fields: readonly Field[]) {
    this.#fields = fields
    this.#expected = fields.reduce((sum, field) => sum + leafCount(field.type), 0)
  }

  /** Takes a data frame; gives the chunk that it completes. */
  accept(frame: DataFrame): Chunk | undefined {
    const state = this.#streams.get(frame.stream) ?? { schema: undefined, batches: [], leaves: [] }
    this.#streams.set(frame.stream, state)
    const { message } = frame
    if (message.kind === 'schema') {
      if (state.schema !== undefined) throw this.#error(frame, 'a schema inside an open stream')
      state.schema = message.schema
      return undefined
    }
    if (state.schema === undefined) throw this.#error(frame, `a ${message.kind} message before a schema`)
    if (message.kind === 'batch') {
      state.batches.push(readColumns(state.schema, message.header, message.body, message.bodyOffset))
      return undefined
    }
    return this.#close(frame, state, state.schema)
  }

  /** The completed marker: a column that is still open is dropped (its cursor did not move), a chunk with only some of its columns is an error. */
  completed(offset: number): void {
    for (const [stream, { leaves }] of this.#streams)
      if (leaves.length > 0)
        throw new WireError('frame', offset, `completed after ${leaves.length} of ${this.#expected} columns of sub-split ${stream}`)
  }

  /** The body ended without a marker: also an open column is an error. */
  ended(offset: number): void {
    this.completed(offset)
    for (const [stream, { schema }] of this.#streams)
      if (schema !== undefined) throw new WireError('frame', offset, `the body ends inside a column of sub-split ${stream}`)
  }

  #close(frame: DataFrame, state: StreamState, schema: Schema): Chunk | undefined {
    const { batches } = state
    state.schema = undefined
    state.batches = []
    if (this.#expected === 0) {
      if (schema.fields.length > 0) throw this.#error(frame, `${schema.fields.length} columns, none were asked for`)
      const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
      return { stream: frame.stream, nextRowId: frame.nextRowId, batch: batchOfData([], [], rows) }
    }
    schema.fields.forEach((field, i) => {
      const parts = batches.flatMap(({ columns }) => columns[i] ?? [])
      state.leaves.push(...splitLeaves(concatData(field.type, parts)))
    })
    if (state.leaves.length > this.#expected) throw this.#error(frame, `${state.leaves.length} leaf columns, expected ${this.#expected}`)
    if (state.leaves.length < this.#expected) return undefined
    const { leaves } = state
    state.leaves = []
    return { stream: frame.stream, nextRowId: frame.nextRowId, batch: this.#join(frame, leaves) }
  }

  #join(frame: DataFrame, leaves: readonly Data[]): RecordBatch {
    const rows = leaves[0]?.length ?? 0
    if (leaves.some((leaf) => leaf.length !== rows))
      throw this.#error(frame, `columns of ${leaves.map((leaf) => leaf.length).join(', ')} rows in one chunk`)
    let next = 0
    const columns = this.#fields.map((field) => {
      const from = next
      next += leafCount(field.type)
      return joinLeaves(field, leaves.slice(from, next))
    })
    return batchOfData(this.#fields, columns, rows)
  }

  #error(frame: DataFrame, problem: string): WireError {
    return new WireError('frame', frame.offset, `sub-split ${frame.stream}: ${problem}`)
  }
}

/** Messages that are the same each time: of a column its schema, and the batch without a row. */
const schemaMessages = new WeakMap<DataType, Map<string, Uint8Array>>()
const emptyMessages = new WeakMap<DataType, Uint8Array>()

const schemaMessage = ({ name, nullable }: NamedField, type: DataType): Uint8Array => {
  const known = schemaMessages.getOrInsertComputed(type, () => new Map())
  return known.getOrInsertComputed(`${nullable} ${name}`, () => encodeSchemaMessage(new Schema([new Field(name, type, nullable)])))
}

const columnMessage = (column: Data, options: EncodeOptions): Uint8Array => {
  const encode = () => encodeColumnsMessage([column], column.length, options)
  return column.length === 0 && !options.zstd ? emptyMessages.getOrInsertComputed(column.type, encode) : encode()
}

const END = encodeEnd()

type NamedField = Pick<Field, 'name' | 'nullable'>

/** The columns of a chunk before they are put into frames. */
export interface ChunkColumns {
  readonly fields: readonly NamedField[]
  readonly columns: readonly Data[]
  readonly rows: number
}

/** The frames of one chunk, as a server sends them: one small stream per leaf column; without columns one stream that counts rows. */
export const encodeChunkColumns = (
  { stream, nextRowId }: Pick<Chunk, 'stream' | 'nextRowId'>,
  { fields, columns, rows }: ChunkColumns,
  options: EncodeOptions = {},
): Uint8Array[] => {
  const frames: Uint8Array[] = []
  const add = (...messages: readonly Uint8Array[]) => {
    for (const message of messages) frames.push(encodeData(stream, nextRowId, message))
  }
  for (const [i, field] of fields.entries()) {
    const column = columns[i]
    for (const leaf of column === undefined ? [] : splitLeaves(column))
      add(schemaMessage(field, leaf.type), columnMessage(leaf, options), END)
  }
  if (fields.length === 0) add(encodeSchemaMessage(new Schema([])), encodeColumnsMessage([], rows, options), END)
  return frames
}

/** The same of a batch. */
export const encodeChunk = ({ batch, ...place }: Chunk, options: EncodeOptions = {}): Uint8Array[] =>
  encodeChunkColumns(place, { fields: batch.schema.fields, columns: batch.data.children, rows: batch.numRows }, options)
