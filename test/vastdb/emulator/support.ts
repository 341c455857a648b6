// A client of one request at a time, on the pure parts of the library: tests here look at answers, not at what a client makes of them.
import { Field, Int64, type RecordBatch, Utf8 } from 'apache-arrow'
import { HttpEndpoint, readAll } from '../../../src/vastdb/http.ts'
import { batchOf } from '../../../src/vastdb/wire/build.ts'
import { type Chunk, ChunkAssembler } from '../../../src/vastdb/wire/chunks.ts'
import { encodeProperties } from '../../../src/vastdb/wire/control.ts'
import { type Frame, FrameParser } from '../../../src/vastdb/wire/frames.ts'
import type { Headers } from '../../../src/vastdb/wire/headers.ts'
import { decodeOneBatch, encodeSchemaMessage, encodeStream } from '../../../src/vastdb/wire/ipc.ts'
import type { Filter } from '../../../src/vastdb/wire/predicate.ts'
import { encodeQueryHeaders, FINISHED, type QueryHeaders } from '../../../src/vastdb/wire/query-headers.ts'
import { encodeQueryRequest, queryRequest } from '../../../src/vastdb/wire/query-request.ts'
import { type RowIdKind, rowIdField } from '../../../src/vastdb/wire/row-id.ts'
import { encodeTarget, type Target } from '../../../src/vastdb/wire/target.ts'
import { columnValues, type Value } from '../../../src/vastdb/wire/values.ts'
import { decodeError, type ErrorBody } from '../../../src/vastdb/wire/xml.ts'
import type { Emulator } from '../../emulators/vast/index.ts'

export const FIELDS = [new Field('id', new Utf8(), true), new Field('start', new Int64(), true)]

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
  readonly error: ErrorBody
}

export interface Sent {
  readonly txid?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/** Rows as they are found: the cells of each, in the order of the columns asked for. */
export type Row = readonly Value[]

export interface QueryOptions extends Partial<QueryHeaders> {
  readonly columns?: readonly string[]
  readonly where?: readonly Filter[]
  readonly txid?: string | undefined
  readonly table?: string
  readonly params?: Readonly<Record<string, string>>
  readonly rowIds?: RowIdKind
  /** The table's columns. Default `FIELDS`. */
  readonly fields?: readonly Field[]
}

export class Probe {
  readonly #endpoint: HttpEndpoint

  constructor(emulator: Emulator, secretKey = 'test') {
    this.#endpoint = new HttpEndpoint(emulator.url, {
      credentials: { accessKey: 'test', secretKey },
      userAgent: 'probe',
      timeoutMs: 20_000,
      tls: {},
      maxSockets: 16,
      date: () => new Date(),
    })
  }

  async send(method: string, target: Target, { txid, headers = {}, body }: Sent = {}): Promise<Reply> {
    const answer = await this.#endpoint.send({
      method,
      target: encodeTarget(target),
      headers: { ...headers, ...(txid === undefined ? {} : { 'tabular-txid': txid }) },
      body,
      operation: method,
    })
    const bytes = await readAll(answer.body)
    const error = answer.status === 200 ? {} : decodeError(new TextDecoder().decode(bytes))
    return { status: answer.status, headers: answer.headers, body: bytes, error }
  }

  async begin(): Promise<string> {
    const { headers } = await this.send('POST', { command: 'transaction' })
    return String(headers['tabular-txid'])
  }

  commit(txid: string): Promise<Reply> {
    return this.send('PUT', { command: 'transaction' }, { txid })
  }

  rollback(txid: string): Promise<Reply> {
    return this.send('DELETE', { command: 'transaction' }, { txid })
  }

  at(table: string, command: string, params?: Readonly<Record<string, string>>): Target {
    return { bucket: 'tams', schema: 's', table, command, params }
  }

  createSchema(name = 's', txid?: string): Promise<Reply> {
    return this.send('POST', { bucket: 'tams', schema: name, command: 'schema' }, { txid, body: encodeProperties('') })
  }

  createTable(
    name: string,
    options: { readonly sorted?: readonly number[]; readonly txid?: string; readonly fields?: readonly Field[] } = {},
  ): Promise<Reply> {
    const headers = Object.fromEntries((options.sorted ?? []).map((index, i) => [`tabular-sorted-column-${i}`, String(index)]))
    const body = encodeSchemaMessage(
      batchOf(
        options.fields ?? FIELDS,
        (options.fields ?? FIELDS).map(() => []),
      ).schema,
    )
    return this.send('POST', this.at(name, 'table'), { txid: options.txid, headers, body })
  }

  rows(method: 'POST' | 'PUT' | 'DELETE', batch: RecordBatch, txid?: string, table = 't'): Promise<Reply> {
    return this.send(method, this.at(table, 'rows'), { txid, body: encodeStream(batch) })
  }

  /** The row ids of the new rows. */
  async insert(rows: readonly (readonly [string | null, bigint | null])[], txid?: string, table = 't'): Promise<Value[]> {
    const reply = await this.rows('POST', batchOf(FIELDS, [rows.map(([id]) => id), rows.map(([, start]) => start)]), txid, table)
    if (reply.status !== 200) throw new Error(`insert: ${reply.status} ${reply.error.code} ${reply.error.message}`)
    const [ids] = decodeOneBatch(reply.body).data.children
    return ids === undefined ? [] : columnValues(ids)
  }

  update(rowIds: readonly bigint[], starts: readonly bigint[], txid?: string, table = 't'): Promise<Reply> {
    return this.rows('PUT', batchOf([rowIdField('plain'), FIELDS[1] ?? rowIdField('plain')], [rowIds, starts]), txid, table)
  }

  delete(rowIds: readonly bigint[], txid?: string, table = 't'): Promise<Reply> {
    return this.rows('DELETE', batchOf([rowIdField('plain')], [rowIds]), txid, table)
  }

  query(options: QueryOptions = {}): Promise<Reply> {
    const { columns = ['id', 'start'], where = [], txid, table = 't', params, rowIds = 'plain', fields = FIELDS, ...headers } = options
    const subsplits = headers.subsplits ?? 1
    return this.send('GET', this.at(table, 'data', params), {
      txid,
      body: encodeQueryRequest(queryRequest([...fields, rowIdField(rowIds)], columns, where)),
      headers: encodeQueryHeaders({
        split: { index: 0, total: 1, rowGroups: 8 },
        cursors: Array(subsplits).fill(0n),
        sortedProjections: false,
        ...headers,
        subsplits,
      }),
    })
  }

  /** All rows of a query with one sub-split, read to its end. */
  async select(options: QueryOptions = {}): Promise<Row[]> {
    const rows: Row[] = []
    let cursor = 0n
    while (cursor !== FINISHED) {
      const reply = await this.query({ ...options, cursors: [cursor] })
      if (reply.status !== 200) throw new Error(`select: ${reply.status} ${reply.error.code} ${reply.error.message}`)
      for (const chunk of chunksOf(reply.body, options).chunks) {
        rows.push(...rowsOf(chunk.batch))
        cursor = chunk.nextRowId
      }
    }
    return rows
  }

  close(): void {
    this.#endpoint.close()
  }
}

export const rowsOf = (batch: RecordBatch): Row[] => {
  const columns = batch.data.children.map(columnValues)
  return Array.from({ length: batch.numRows }, (_, i) => columns.map((column) => column[i] ?? null))
}

/** The chunks and the frames of an answer. */
export const chunksOf = (body: Uint8Array, { columns = ['id', 'start'], rowIds = 'plain', fields: own = FIELDS }: QueryOptions = {}) => {
  const fields = [...own, rowIdField(rowIds)]
  const assembler = new ChunkAssembler(columns.flatMap((name) => fields.filter((field) => field.name === name)))
  const parser = new FrameParser()
  const frames: Frame[] = parser.push(body)
  const chunks: Chunk[] = []
  for (const frame of frames) {
    if (frame.kind !== 'data') continue
    const chunk = assembler.accept(frame)
    if (chunk !== undefined) chunks.push(chunk)
  }
  return { frames, chunks }
}
