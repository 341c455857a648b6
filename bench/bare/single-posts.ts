/**
 * What one durable post of a segment costs when nothing else is done: the same statements as the service runs for it, in one
 * transaction with one commit each, on `Bun.serve` and `bun:sqlite`. No validation and no errors.
 */
import { Database, type SQLQueryBindings } from 'bun:sqlite'
import { randomBytes, randomUUID } from 'node:crypto'
import path from 'node:path'
import { TimeRange } from '../../src/core/time-range.ts'

const db = new Database(path.join(process.env.TAMS_DATA_DIR ?? '', 'tams.sqlite'), { strict: true, safeIntegers: true })
for (const pragma of ['journal_mode = wal', 'synchronous = full', 'wal_autocheckpoint = 4000', 'cache_size = -65536'])
  db.run(`pragma ${pragma}`)

type Row = Record<string, SQLQueryBindings>

const inserter = (table: string, columns: readonly string[], conflict = '') => {
  const statement = db.query<unknown, SQLQueryBindings[]>(
    `insert into ${table} (${columns.map((column) => `"${column}"`).join(', ')}) values (${columns.map(() => '?').join(', ')}) ${conflict}`,
  )
  return (row: Row) => statement.run(...columns.map((column) => row[column] ?? null))
}

const insertSegment = inserter('segments', ['flow_id', 'timeline_id', 'start_ns', 'end_ns', 'timerange', 'object_id', 'created'])
const insertObject = inserter('objects', [
  ...['id', 'deletion_id', 'state', 'kind', 'first_referenced_by_flow', 'start_ns', 'end_ns', 'timerange'],
  ...['instances', 'content_type', 'created', 'registered', 'explicit'],
])
const putReference = inserter(
  'object_refs',
  ['object_id', 'flow_id', 'timeline_id', 'count'],
  'on conflict (object_id, flow_id, timeline_id) do update set "count" = excluded."count"',
)
const appendEvent = inserter('event_log', ['time', 'type', 'flow_id', 'source_id', 'body'])
const insertAudit = inserter('audit', ['id', 'time', 'principal', 'action', 'entity_type', 'entity_id', 'request_id', 'detail'])

const flowById = db.query<Row, [string]>("select * from flows where id = ? and deletion_id = ''")
const objectById = db.query<Row, [string]>("select * from objects where id = ? and deletion_id = ''")
const predecessor = db.query<Row, SQLQueryBindings[]>(
  'select * from segments where flow_id = ? and timeline_id = ? and start_ns < ? order by start_ns desc limit 1',
)
const reference = db.query<Row, SQLQueryBindings[]>('select count from object_refs where object_id = ? and flow_id = ? and timeline_id = ?')
const updateFlow = db.query<unknown, SQLQueryBindings[]>(
  "update flows set start_ns = ?, end_ns = ?, timerange = ?, segment_count = ?, segments_updated = ? where id = ? and deletion_id = ''",
)
const touch = db.query<unknown, [string]>('update table_versions set version = version + 1 where name = ?')
const TOUCHED = ['segments', 'objects', 'object_refs', 'flows', 'event_log', 'audit']
const begin = db.query('begin immediate')
const commit = db.query('commit')
const rollback = db.query('rollback')

interface Post {
  readonly object_id: string
  readonly timerange: string
  readonly get_urls: readonly unknown[]
}

/** False when the segment overlaps another one. */
const post = (flowId: string, { object_id, timerange, get_urls }: Post): boolean => {
  const { startNs = 0n, endNs = 0n } = TimeRange.parse(timerange)
  const nowUs = BigInt(Date.now()) * 1000n
  begin.run()
  const flow = flowById.get(flowId)
  const timeline = flow?.timeline_id as string
  const known = objectById.get(object_id)
  const before = predecessor.get(flowId, timeline, endNs)
  if (!flow || known || (before && (before.end_ns as bigint) > startNs)) {
    rollback.run()
    return false
  }
  insertSegment({ flow_id: flowId, timeline_id: timeline, start_ns: startNs, end_ns: endNs, timerange, object_id, created: nowUs })
  const object = { id: object_id, deletion_id: '', state: 'registered', kind: 'media', first_referenced_by_flow: flowId }
  const instances = JSON.stringify(get_urls)
  const place = { start_ns: startNs, end_ns: endNs, timerange, instances, content_type: flow.container ?? null }
  insertObject({ ...object, ...place, created: nowUs, registered: nowUs, explicit: 0 })
  const count = ((reference.get(object_id, flowId, timeline)?.count as bigint | undefined) ?? 0n) + 1n
  putReference({ object_id, flow_id: flowId, timeline_id: timeline, count })
  const start = flow.start_ns != null && (flow.start_ns as bigint) < startNs ? (flow.start_ns as bigint) : startNs
  const end = flow.end_ns != null && (flow.end_ns as bigint) > endNs ? (flow.end_ns as bigint) : endNs
  updateFlow.run(start, end, TimeRange.of(start, end).toString(), (flow.segment_count as bigint) + 1n, nowUs, flowId)
  const body = JSON.stringify({ event: { flow_id: flowId, segments: [{ object_id, timerange }] } })
  appendEvent({ time: nowUs, type: 'flows/segments_added', flow_id: flowId, source_id: flow.source_id ?? null, body })
  insertAudit({
    ...{ id: nowUs.toString(16).padStart(16, '0') + randomBytes(8).toString('hex'), time: nowUs, principal: 'anonymous' },
    ...{ action: 'flow.segments.add', entity_type: 'flow', entity_id: flowId, request_id: randomUUID() },
    detail: JSON.stringify({ count: 1, timerange }),
  })
  for (const table of TOUCHED) touch.run(table)
  commit.run()
  return true
}

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT),
  async fetch(request) {
    const flowId = /\/flows\/([^/]+)\/segments$/.exec(request.url)?.[1]
    if (flowId === undefined || request.method !== 'POST') return new Response(null, { status: 404 })
    return new Response(null, { status: post(flowId, (await request.json()) as Post) ? 201 : 400 })
  },
})
