import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { checkIntegrity } from '../../src/domain/integrity/index.ts'
import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { objectSizeWorker } from '../../src/workers/object-sizes.ts'
import { purgeWorker } from '../../src/workers/purge.ts'
import { restoreWorker } from '../../src/workers/restores.ts'
import { webhookDeliveryWorker } from '../../src/workers/webhook-deliveries.ts'
import type { Worker } from '../../src/workers/worker.ts'
import { type Answer, type Json, list, object, readAnswer } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { type Allocated, expectStatus, multiFlow, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import { openReceiver, type Receiver } from '../support/receiver.ts'
import { readStream, type StreamReader } from '../support/streams.ts'
import { runUntilIdle } from '../support/workers.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

const DAY = 86_400
const SEGMENTS = 12
/** So that the deletion of the flow is worked off behind its answer. */
const THRESHOLD = 5
const MEDIA = 'one second of media'

let app: TestApp
let receiver: Receiver
let stream: StreamReader
let workers: readonly Worker[]
let base: string

beforeEach(async () => {
  const settings = { strict: false, asyncDeletionThreshold: THRESHOLD, softDeleteDefault: true, webhookAllowedHosts: ['127.0.0.1'] }
  app = await openApp({ settings })
  receiver = openReceiver()
  base = `http://127.0.0.1:${app.listen()}`
  const { deps } = app
  workers = [
    deletionWorker(deps, 5),
    restoreWorker(deps, 5),
    objectSizeWorker(deps),
    purgeWorker({ ...deps, retentionMs: 30 * DAY * 1000 }, 5),
    mediaRemovalWorker(deps),
    webhookDeliveryWorker({ ...deps, baseUrl: base }),
  ]
})
afterEach(async () => {
  await stream.close()
  await app.close()
  await receiver.close()
})

/** Over the socket, as clients do. */
const call = async (status: number, method: string, target: string, body?: unknown): Promise<Answer> => {
  const url = target.startsWith('http') ? target : `${base}${target}`
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return expectStatus(await readAnswer(await fetch(url, { method, ...json })), status)
}
const get = (target: string) => call(200, 'GET', target)
const work = async () => {
  for (const worker of workers) await runUntilIdle(app.deps, worker)
}
const names = (items: readonly Json[]) => items.map(({ id }) => id)

test('a recording is made, found, watched, reported on, deleted, restored and at last forgotten', async () => {
  // Somebody wants to know.
  const events = ['flows/created', 'flows/updated', 'flows/segments_added', 'flows/segments_deleted', 'flows/deleted', 'sources/created']
  const webhook = object(await call(201, 'POST', '/service/webhooks', { url: receiver.url, events }))
  stream = readStream(await fetch(`${base}/events/stream`))
  await stream.opened

  // A source, a flow, and a programme that collects it.
  const flow = videoFlow({ label: 'Camera 1', tags: { programme: 'news' } })
  await call(201, 'POST', '/sources', { id: flow.source_id, format: flow.format, label: 'Studio' })
  await call(201, 'PUT', `/flows/${flow.id}`, flow)
  const programme = multiFlow({ flow_collection: [{ id: flow.id, role: 'picture' }] })
  await call(201, 'PUT', `/flows/${programme.id}`, programme)

  // Media go where the service says, and are registered.
  const storage = object(await call(201, 'POST', `/flows/${flow.id}/storage`, { limit: SEGMENTS }))
  const objects = storage.media_objects as Allocated[]
  for (const { put_url } of objects) {
    const headers = { 'content-type': put_url['content-type'] ?? 'video/mp2t', ...put_url.headers }
    expect((await fetch(put_url.url, { method: 'PUT', body: MEDIA, headers })).status).toBe(200)
  }
  const ranges = seconds(SEGMENTS)
  const segments = objects.map(({ object_id }, index) => ({ object_id, timerange: ranges[index] }))
  await call(201, 'POST', `/flows/${flow.id}/segments`, segments)
  await call(204, 'PUT', `/flows/${flow.id}/segments/${objects[3]?.object_id}/tags/shot`, 'goal')

  // It is found by tag and time, and its bytes are read.
  expect(names(list(await get('/flows?tag.programme=news')))).toEqual([flow.id])
  expect(list(await get(`/flows/${flow.id}/segments?tag.shot=goal`))).toMatchObject([{ timerange: '[3:0_4:0)' }])
  const [part] = list(await get(`/flows/${flow.id}/segments?timerange=[5:0_6:0)`))
  const [url] = (part?.get_urls ?? []) as { readonly url: string }[]
  expect(await (await fetch(url?.url ?? '', { headers: { range: 'bytes=4-9' } })).text()).toBe('second')
  expect(object(await get(`/flows/${flow.id}?include_timerange=true`)).timerange).toBe(`[0:0_${SEGMENTS}:0)`)

  // Everybody has heard of it.
  await work()
  expect(receiver.types()).toContain('flows/segments_added')
  expect(object(await get(`/service/webhooks/${webhook.id}`)).status).toBe('started')
  for (const type of ['sources/created', 'flows/created', 'objects/created', 'flows/segments_added']) await heard(type)

  // It is in the reports, with its real size.
  const usage = async () => object(await get('/analytics/storage-usage?refresh=true'))
  expect(await usage()).toMatchObject({ total_objects: SEGMENTS, total_size_bytes: SEGMENTS * MEDIA.length })
  const sql = { sql: 'select count(*) as segments from segments' }
  expect(JSON.stringify((await call(200, 'POST', '/analytics/query', sql)).body)).toContain(String(SEGMENTS))

  // It is deleted: at once for everybody, and told of as it is worked off.
  receiver.received.length = 0
  const { headers } = await call(202, 'DELETE', `/flows/${flow.id}?deleted_by=editor`)
  expect(headers.get('location')).toContain('/flow-delete-requests/')
  await call(404, 'GET', `/flows/${flow.id}`)
  await call(404, 'GET', `/objects/${objects[0]?.object_id}`)
  expect(object(await get(`/flows/${programme.id}`)).flow_collection ?? []).toEqual([])
  expect(names(list(await get('/flows?deleted_only=true')))).toEqual([flow.id])
  await work()
  expect(receiver.types()).toEqual(expect.arrayContaining(['flows/deleted', 'flows/segments_deleted']))
  expect(await usage()).toMatchObject({ total_objects: 0 })
  expect(list(await get('/audit?action=flow.delete'))).toMatchObject([{ entity_id: flow.id }])

  // It is restored, with everything it had.
  await call(202, 'POST', `/flows/${flow.id}/restore`)
  await work()
  expect(list(await get(`/flows/${flow.id}/segments?limit=100`))).toHaveLength(SEGMENTS)
  expect(list(await get(`/flows/${flow.id}/segments?tag.shot=goal`))).toHaveLength(1)
  expect(object(await get(`/flows/${programme.id}`)).flow_collection).toMatchObject([{ id: flow.id, role: 'picture' }])
  expect(names(list(await get('/flows?tag.programme=news')))).toEqual([flow.id])
  await heard('flows/restored')

  // It is deleted again, and forgotten when its time is over: rows and bytes.
  await call(202, 'DELETE', `/flows/${flow.id}`)
  await work()
  expect(await bytesLeft()).toBe(SEGMENTS)
  app.clock.advance(31 * DAY)
  await work()
  expect(list(await get('/deletions?entity_type=flow&status=deleted'))).toEqual([])
  expect(list(await get('/flows?deleted_state=all')).filter(({ id }) => id === flow.id)).toEqual([])
  expect(await bytesLeft()).toBe(0)
  await call(404, 'POST', `/flows/${flow.id}/restore`)

  // The source was made by itself and stays; the id of the flow is free.
  expect(object(await get(`/sources/${flow.source_id}`)).label).toBe('Studio')
  await call(201, 'PUT', `/flows/${flow.id}`, flow)
  await call(404, 'GET', `/flows/${uuid()}`)
  expect(await Array.fromAsync(checkIntegrity(app.deps))).toEqual([])
  expect(app.errors).toEqual([])
}, 120_000)

/** Resolves when the stream has told of it. */
const heard = async (type: string): Promise<void> => {
  while (!stream.events.some((event) => event.type === type)) await stream.have(stream.events.length + 1)
}

const bytesLeft = async (): Promise<number> => {
  let count = 0
  for (const { store } of app.deps.backends) for await (const _ of store.list({})) count++
  return count
}
