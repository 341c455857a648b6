// One split of a query: ask, read frames, remember the cursor of each sub-split, ask again until all are finished. A lost connection goes on from
// the last complete chunk: no row comes twice, none is left out.
import type { Field, RecordBatch } from 'apache-arrow'
import { ConnectionFailed, ProtocolError, QueryFailed } from './errors.ts'
import { Backoff, isRetriable } from './retry.ts'
import { callOf, type Scope } from './scope.ts'
import type { TableName } from './tables.ts'
import { type Chunk, ChunkAssembler } from './wire/chunks.ts'
import { FrameParser } from './wire/frames.ts'
import { encodeQueryHeaders, FINISHED, type QueryHeaders } from './wire/query-headers.ts'
import { WireError } from './wire/wire-error.ts'

/** Answers without a row and without a new cursor that are borne before the query is given up; the Python client would ask for ever. */
const MAX_IDLE_ANSWERS = 3

export interface SplitQuery {
  readonly name: TableName
  /** The selected columns. */
  readonly fields: readonly Field[]
  readonly body: Uint8Array
  readonly params: Readonly<Record<string, string>>
  readonly headers: Omit<QueryHeaders, 'cursors'>
  readonly signal?: AbortSignal | undefined
}

const operationOf = (query: SplitQuery): string => `query of ${query.name.schema}/${query.name.table}, split ${query.headers.split.index}`

/** The batches of one split, empty ones left out. */
export async function* readSplit(scope: Scope, query: SplitQuery): AsyncGenerator<RecordBatch> {
  const { connection } = scope
  const cursors = Array<bigint>(query.headers.subsplits).fill(0n)
  const backoff = new Backoff(connection.retry, connection.tools)
  let avoid: string | undefined
  let idle = 0
  for (let attempt = 0; cursors.some((cursor) => cursor !== FINISHED); attempt++) {
    const { index, total } = query.headers.split
    // A query of one split is a look-up, for the quickest endpoint; a scan is for all of them.
    const lease = connection.pool.acquire({ prefer: total > 1 ? index + (avoid === undefined ? 0 : attempt) : undefined, avoid })
    let progress = false
    try {
      for await (const chunk of readAnswer(scope, query, cursors, lease)) {
        const cursor = cursors[chunk.stream] ?? 0n
        if (chunk.nextRowId < cursor)
          throw new ProtocolError(`${operationOf(query)}: sub-split ${chunk.stream} goes back from ${cursor} to ${chunk.nextRowId}`)
        progress ||= chunk.nextRowId > cursor || chunk.batch.numRows > 0
        cursors[chunk.stream] = chunk.nextRowId
        if (chunk.batch.numRows > 0) yield chunk.batch
      }
      avoid = undefined
    } catch (error) {
      if (!isRetriable(error, 'GET')) throw error
      if (error instanceof ConnectionFailed) avoid = lease.url
      await backoff.next(error, query.signal)
      continue
    }
    idle = progress ? 0 : idle + 1
    if (idle >= MAX_IDLE_ANSWERS) throw new ProtocolError(`${operationOf(query)}: ${idle} answers in a row moved no cursor`)
  }
}

type Lease = Parameters<Scope['connection']['open']>[1]

async function* readAnswer(scope: Scope, query: SplitQuery, cursors: readonly bigint[], lease: Lease): AsyncGenerator<Chunk> {
  const operation = operationOf(query)
  const headers = encodeQueryHeaders({ ...query.headers, cursors })
  const { schema, table } = query.name
  const call = callOf(scope, {
    method: 'GET',
    schema,
    table,
    command: 'data',
    params: query.params,
    headers,
    body: query.body,
    signal: query.signal,
  })
  const answer = await scope.connection.open(call, lease)
  const parser = new FrameParser({ subsplits: query.headers.subsplits, schemas: scope.connection.schemas })
  const assembler = new ChunkAssembler(query.fields)
  let received = 0
  try {
    for await (const bytes of answer.body) {
      received += bytes.length
      for (const frame of parser.push(bytes)) {
        if (frame.kind === 'failed')
          throw new QueryFailed(`${operation}: the server failed with code ${frame.code}`, { operation, code: String(frame.code) })
        if (frame.kind === 'completed') assembler.completed(frame.offset)
        const chunk = frame.kind === 'data' ? assembler.accept(frame) : undefined
        if (chunk !== undefined) yield chunk
      }
    }
    parser.end()
    if (!parser.done) assembler.ended(received)
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause
    throw new ProtocolError(`${operation}: ${cause.message}`, { operation, cause })
  }
}

/** The number of rows in the first batch of an answer, or `undefined` when there is none; the rest is not read. */
export const firstBatchRows = async (scope: Scope, query: SplitQuery): Promise<number | undefined> => {
  for await (const chunk of readAnswer(scope, query, Array<bigint>(query.headers.subsplits).fill(0n), scope.connection.pool.acquire()))
    if (chunk.batch.numRows > 0) return chunk.batch.numRows
  return undefined
}
