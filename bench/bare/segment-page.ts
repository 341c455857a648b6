/**
 * What a page of segments costs when nothing else is done: the look-ups, the signatures and the JSON, on `Bun.serve` and
 * `bun:sqlite`. No validation, no other filters, no paging headers, no errors.
 */
import { Database } from 'bun:sqlite'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { URL_GRACE_SECONDS } from '../../src/domain/get-urls.ts'
import { createSigner } from '../../src/storage/disk/signing.ts'

const dataDir = process.env.TAMS_DATA_DIR ?? ''
const db = new Database(path.join(dataDir, 'tams.sqlite'), { readwrite: true, strict: true })
db.run('pragma query_only = on')
db.run('pragma cache_size = -16384')

interface SegmentRow {
  start_ns: number
  object_id: string
  timerange: string
  ts_offset: string | null
  last_duration: string | null
  sample_offset: number | null
  sample_count: number | null
}
interface ObjectRow {
  id: string
  key_frame_count: number | null
  init_object_id: string | null
  instances: string
}
type Instance = { readonly storage_id: string; readonly key: string; readonly status: string }

const flowById = db.query<{ id: string; timeline_id: string }, [string]>("select * from flows where id = ? and deletion_id = ''")
const predecessor = db.query<{ start_ns: number; end_ns: number }, [string, string, number]>(
  'select start_ns, end_ns from segments where flow_id = ? and timeline_id = ? and start_ns < ? order by start_ns desc limit 1',
)
const segmentsFrom = db.query<SegmentRow, [string, string, number, number]>(
  `select start_ns, object_id, timerange, ts_offset, last_duration, sample_offset, sample_count
   from segments where flow_id = ? and timeline_id = ? and start_ns >= ? order by start_ns limit ?`,
)
const LIMIT = 100
const objectsById = db.query<ObjectRow, string[]>(
  `select id, key_frame_count, init_object_id, instances from objects where id in (${Array(LIMIT).fill('?').join(',')}) and deletion_id = ''`,
)
const begin = db.query('begin')
const commit = db.query('commit')

const storage = db.query<{ id: string; label: string }, []>('select id, label from storage_backends').get()
if (!storage) throw new Error('the store has no storage backend')
const signer = createSigner(readFileSync(path.join(dataDir, 'secret.key'), 'utf8').trim(), storage.id)
const VALID_SECONDS = 3600 + URL_GRACE_SECONDS
const STABLE_SECONDS = VALID_SECONDS / 4

const page = (flowId: string, startSeconds: number, origin: string, withUrls: boolean): string | undefined => {
  begin.run()
  const flow = flowById.get(flowId)
  if (!flow) return undefined
  const startNs = startSeconds * 1e9
  const before = predecessor.get(flow.id, flow.timeline_id, startNs)
  const firstNs = before && before.end_ns > startNs ? before.start_ns : startNs
  const segments = segmentsFrom.all(flow.id, flow.timeline_id, firstNs, LIMIT + 1)
  if (segments.length > LIMIT) segments.pop()
  const objects = new Map(objectsById.all(...segments.map((row) => row.object_id)).map((row) => [row.id, row]))
  commit.run()
  const expires = Math.ceil((Date.now() / 1000 + VALID_SECONDS) / STABLE_SECONDS) * STABLE_SECONDS
  const items = segments.map((row) => {
    const object = objects.get(row.object_id)
    if (object?.init_object_id != null) throw new Error('objects with init objects are not in this benchmark')
    const urls = []
    if (withUrls && object)
      for (const { key } of JSON.parse(object.instances) as Instance[]) {
        const signature = signer.sign('read', key, expires, '')
        urls.push({
          url: `${origin}/media/${storage.id}/${key}?expires=${expires}&signature=${signature}`,
          presigned: true,
          label: storage.label,
        })
      }
    return {
      object_id: row.object_id,
      timerange: row.timerange,
      ts_offset: row.ts_offset ?? undefined,
      last_duration: row.last_duration ?? undefined,
      sample_offset: row.sample_offset ?? undefined,
      sample_count: row.sample_count ?? undefined,
      key_frame_count: object?.key_frame_count ?? undefined,
      get_urls: urls,
    }
  })
  return JSON.stringify(items)
}

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT),
  fetch(request) {
    const { pathname, searchParams, origin } = new URL(request.url)
    const flowId = /^\/flows\/([^/]+)\/segments$/.exec(pathname)?.[1]
    if (flowId === undefined) return new Response(null, { status: 404 })
    const startSeconds = Number(/^\[(\d+):0_\)?$/.exec(searchParams.get('timerange') ?? '')?.[1] ?? 0)
    const body = page(flowId, startSeconds, origin, !searchParams.has('accept_get_urls'))
    return new Response(body, { headers: { 'content-type': 'application/json' } })
  },
})
