import { yieldToOtherThreads } from '../../core/thread-priority.ts'
import { Connection } from './connection.ts'
import { borrowFiles } from './pages/borrow-files.ts'
import { PageCursor } from './pages/cursor.ts'
import { planPages } from './pages/plan.ts'
import { SnapshotPages } from './pages/snapshot.ts'
import { type ColumnBuilder, columnBuilder } from './scan-columns.ts'
import { KeyCursor, type ScanCursor } from './scan-cursor.ts'
import { planScan } from './scan-plan.ts'
import { type ColumnBuffers, type ScanAnswer, type ScanPlan, type ScanRequest, type ScanSpec, VERSIONS_SQL } from './scan-protocol.ts'
import { ScanStatements } from './scan-statements.ts'
import { isBusy } from './sqlite-errors.ts'

// A thread of one read transaction's scans, and then of another's: one connection, one snapshot, so that a long scan never holds up the event loop
// of the server. It imports nothing large, to start quickly: Arrow objects are made by the receiver, from these buffers.

declare const self: Worker

yieldToOtherThreads()

// Many: what a batch costs the thread that passes it on does not depend on its rows.
const BATCH_ROWS = 65_536
const BATCH_TEXT_BYTES = 32 * 1024 * 1024
const CHECK_EVERY = 1024
// Pages come by once: a cache that fits into the processor's own costs a seventh less, and leaves room there for those who serve requests.
const CACHE_KIB = 2048

let connection: Connection | undefined
let pages = new SnapshotPages(undefined)
let cancelled = new Int32Array(new SharedArrayBuffer(4))
const scans = new Map<number, { readonly builders: readonly ColumnBuilder[]; readonly cursor: ScanCursor }>()

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
      connection.run(`pragma cache_size = -${CACHE_KIB}`)
      // Opens the WAL.
      connection.rows(VERSIONS_SQL)
      pages = new SnapshotPages(borrowFiles(connection.db, request.file))
      answer({ type: 'opened' })
      break
    case 'snapshot':
      answer({ type: 'snapshot', versions: takeSnapshot(opened()) })
      break
    case 'scan':
      start(request.id, request.spec, request.plan)
      break
    case 'next':
      next(request.id)
      break
    case 'end':
      end(request.id)
      break
    case 'rest':
      for (const id of scans.keys()) end(id)
      if (connection?.inTransaction) connection.run('rollback')
      answer({ type: 'resting' })
      break
    case 'stop':
      for (const id of scans.keys()) end(id)
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

const takeSnapshot = (connection: Connection): string => {
  let versions = ''
  pages.take(() => {
    if (connection.inTransaction) connection.run('rollback')
    connection.run('begin')
    versions = String(connection.rows(VERSIONS_SQL)[0]?.versions)
  })
  return versions
}

const start = (id: number, spec: ScanSpec, given: ScanPlan | undefined): void => {
  const statements = new ScanStatements(opened().db, spec)
  try {
    const plan = given ?? planOf(statements, spec)
    if (!given) answer({ type: 'planned', id, plan })
    const builders = spec.columns.map(({ kind }) => columnBuilder(kind, BATCH_ROWS))
    scans.set(id, { builders, cursor: cursorOf(statements, spec, plan) })
  } catch (error) {
    statements.close()
    throw error
  }
}

const planOf = (statements: ScanStatements, spec: ScanSpec): ScanPlan => {
  const images = spec.tested && !statements.isNarrowed() ? pages.images : undefined
  return (images && planPages(opened(), spec, images)) ?? planScan(statements, spec)
}

const cursorOf = (statements: ScanStatements, spec: ScanSpec, plan: ScanPlan): ScanCursor => {
  if (plan.kind === 'keys') return new KeyCursor(statements, spec, plan)
  statements.close()
  const { images } = pages
  // Snapshots with the same rows can lie in other pages: then others read them.
  return images?.commit === plan.commit ? new PageCursor(images, spec, plan) : NO_PART
}

const NO_PART: ScanCursor = { read: () => undefined, close: () => {} }

const next = (id: number): void => {
  const scan = scans.get(id)
  if (!scan) return
  const { builders, cursor } = scan
  let rows = 0
  let ended = false
  while (rows < BATCH_ROWS && !ended) {
    if (Atomics.load(cancelled, 0) === 1) return
    if (builders.reduce((sum, { textBytes }) => sum + textBytes, 0) > BATCH_TEXT_BYTES) break
    const added = cursor.read(builders, Math.min(CHECK_EVERY, BATCH_ROWS - rows))
    rows += added ?? 0
    ended = added === undefined
  }
  if (rows > 0) {
    const columns = builders.map((builder) => builder.finish())
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
  scans.get(id)?.cursor.close()
  scans.delete(id)
}
