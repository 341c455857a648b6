import { yieldToOtherThreads } from '../../core/thread-priority.ts'
import { Connection, type SqlRow } from './connection.ts'
import { columnBuilder } from './scan-columns.ts'
import { type ColumnBuffers, type ScanAnswer, type ScanColumn, type ScanRequest, VERSIONS_SQL } from './scan-protocol.ts'
import { isBusy } from './sqlite-errors.ts'
import type { SqlValue } from './table-info.ts'

// The thread of one read transaction's scans: one connection, one snapshot, so that a long scan never holds up the event loop
// of the server. It imports nothing large, to start quickly: Arrow objects are made by the receiver, from these buffers.

declare const self: Worker

yieldToOtherThreads()

const BATCH_ROWS = 65_536
const BATCH_TEXT_BYTES = 32 * 1024 * 1024
const CHECK_EVERY = 1024

interface Cursor {
  readonly rows: Iterator<SqlRow>
  readonly columns: readonly ScanColumn[]
  readonly finalize: () => void
}

let connection: Connection | undefined
let cancelled = new Int32Array(new SharedArrayBuffer(4))
const cursors = new Map<number, Cursor>()

const answer = (message: ScanAnswer, transfer: Transferable[] = []): void => self.postMessage(message, transfer)

self.onmessage = ({ data }: MessageEvent<ScanRequest>) => {
  try {
    handle(data)
  } catch (error) {
    answer({ type: 'failed', busy: isBusy(error), message: error instanceof Error ? error.message : String(error) })
  }
}

const handle = (request: ScanRequest): void => {
  switch (request.type) {
    case 'open':
      cancelled = request.cancelled
      connection = new Connection({ file: request.file, writes: false })
      answer({ type: 'opened' })
      break
    case 'snapshot':
      if (opened().inTransaction) opened().run('rollback')
      opened().run('begin')
      answer({ type: 'snapshot', versions: String(opened().rows(VERSIONS_SQL)[0]?.versions) })
      break
    case 'scan':
      start(request.id, request.sql, request.params, request.columns)
      break
    case 'next':
      next(request.id)
      break
    case 'end':
      end(request.id)
      break
    case 'stop':
      for (const id of cursors.keys()) end(id)
      connection?.close()
      connection = undefined
      answer({ type: 'stopped' })
      break
    default:
      throw new Error(`unhandled ${request satisfies never}`)
  }
}

const opened = (): Connection => {
  if (!connection) throw new Error('the scan connection is not open')
  return connection
}

// A statement of its own for each scan: two scans may have the same text.
const start = (id: number, sql: string, params: readonly SqlValue[], columns: readonly ScanColumn[]): void => {
  const statement = opened().db.prepare<SqlRow, SqlValue[]>(sql)
  cursors.set(id, { rows: statement.iterate(...params), columns, finalize: () => statement.finalize() })
}

const next = (id: number): void => {
  const cursor = cursors.get(id)
  if (!cursor) return
  const builders = cursor.columns.map(({ name, kind }) => ({ name, builder: columnBuilder(kind, BATCH_ROWS) }))
  let rows = 0
  let ended = false
  while (rows < BATCH_ROWS) {
    if (rows % CHECK_EVERY === 0) {
      if (Atomics.load(cancelled, 0) === 1) return
      if (builders.reduce((sum, { builder }) => sum + builder.textBytes, 0) > BATCH_TEXT_BYTES) break
    }
    const step = cursor.rows.next()
    if (step.done) {
      ended = true
      break
    }
    for (const { name, builder } of builders) builder.add(step.value[name] ?? null)
    rows++
  }
  if (rows > 0) {
    const columns = builders.map(({ builder }) => builder.finish())
    answer({ type: 'batch', id, rows, columns }, columns.flatMap(transferables))
  }
  if (ended) {
    end(id)
    answer({ type: 'done', id })
  }
}

const transferables = ({ valid, data, dictionary }: ColumnBuffers): Transferable[] => [
  data.buffer,
  ...(valid ? [valid.buffer] : []),
  ...(dictionary ? [dictionary.offsets.buffer, dictionary.bytes.buffer] : []),
]

const end = (id: number): void => {
  const cursor = cursors.get(id)
  cursors.delete(id)
  cursor?.rows.return?.()
  cursor?.finalize()
}
