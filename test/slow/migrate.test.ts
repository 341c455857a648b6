import { afterEach, beforeEach, expect, test } from 'bun:test'
import path from 'node:path'
import { type Emulator, startEmulator } from '../emulators/vast/index.ts'
import { type StubS3, stubS3 } from '../storage/s3/stub-server.ts'
import { type Allocated, seconds, videoFlow } from '../support/fixtures.ts'
import { refusedService, type ServiceProcess, startService, startTams, temporaryDirectory } from '../support/service-process.ts'

const MINUTE = 60_000
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let data: string
let emulator: Emulator
let s3: StubS3
let running: ServiceProcess | undefined
beforeEach(async () => {
  directory = await temporaryDirectory()
  data = path.join(directory.path, 'data')
  emulator = await startEmulator({ buckets: ['tams'] })
  s3 = await stubS3()
}, 4 * MINUTE)
afterEach(async () => {
  await running?.end('SIGKILL')
  await emulator.close()
  s3.close()
  await directory.remove()
}, 4 * MINUTE)

const start = async (env: Readonly<Record<string, string>> = {}) => {
  running = await startService(data, { LOG_LEVEL: 'info', TAMS_STRICT: 'true', ...env })
  return running
}
const targets = () => ({
  VAST_ENDPOINT: emulator.url,
  VAST_ACCESS_KEY: 'test',
  VAST_SECRET_KEY: 'test',
  VAST_BUCKET: 'tams',
  S3_ENDPOINT_URL: s3.endpoint,
  S3_BUCKET_NAME: 'media',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'secret',
})
const tams = (...args: readonly string[]) => startTams(data, args, { env: targets() })

const ask = async (service: ServiceProcess, target: string) => {
  const answer = await service.call('GET', target)
  expect([target, answer.status]).toEqual([target, 200])
  return answer.json()
}
const withoutUrls = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (name, member: unknown) => (name === 'get_urls' || name === 'url' ? undefined : member)))
const everything = async (service: ServiceProcess, flows: readonly string[]) => {
  const paths = [
    '/flows?limit=100',
    '/sources?limit=100',
    ...flows.map((id) => `/flows/${id}/segments?limit=1000&include_object_timerange=true`),
  ]
  return Promise.all(paths.map(async (each) => withoutUrls(await ask(service, each))))
}
const upload = async (service: ServiceProcess, flow: string, count: number, from = 0) => {
  const answer = await service.call('POST', `/flows/${flow}/storage`, { limit: count })
  const { media_objects } = (await answer.json()) as { media_objects: Allocated[] }
  for (const { object_id, put_url } of media_objects) {
    const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
    expect((await fetch(put_url.url, { method: 'PUT', headers, body: `bytes of ${object_id}` })).status).toBe(200)
  }
  const ranges = seconds(count, from)
  const segments = media_objects.map(({ object_id }, index) => ({ object_id, timerange: ranges[index] }))
  expect((await service.call('POST', `/flows/${flow}/segments`, segments)).status).toBe(201)
}

test(
  'an embedded store that serves is moved to VAST and S3, across a crash, and served from there',
  async () => {
    const service = await start()
    const flows = [videoFlow({ label: 'one', tags: { site: ['a', 'b'] } }), videoFlow()]
    for (const flow of flows) expect((await service.call('PUT', `/flows/${flow.id}`, flow)).status).toBe(201)
    const ids = flows.map(({ id }) => id)
    for (const id of ids) await upload(service, id, 60)

    let puts = 0
    const killed = tams('migrate')
    s3.fault = (operation) => {
      if (operation === 'PutObject' && ++puts === 70) killed.kill()
      return undefined
    }
    expect((await killed.ended).code).not.toBe(0)
    s3.fault = () => undefined
    expect((await refusedService(data, { ...targets() })).stderr).toContain('migration that has not ended')
    // The embedded store has not been frozen yet.
    await upload(service, ids[0] ?? '', 3, 100)

    const before = s3.calls.length
    const moved = await tams('migrate').ended
    expect([moved.code, moved.stderr]).toEqual([0, expect.stringContaining('every row and byte is compared')])
    const copied = s3.calls.slice(before).filter((call) => call === 'PutObject').length
    expect(copied).toBeLessThan(130)
    const embedded = await everything(service, ids)
    const refused = await service.call('PUT', `/flows/${ids[0]}/label`, 'x')
    expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true])
    await service.end('SIGTERM')
    expect((await refusedService(data, {})).stderr).toContain('moved to another store')

    const served = await start(targets())
    expect(await everything(served, ids)).toEqual(embedded)
    const segments = (await ask(served, `/flows/${ids[0]}/segments?limit=1000`)) as { object_id: string; get_urls: { url: string }[] }[]
    expect(segments).toHaveLength(63)
    for (const { object_id, get_urls } of segments) expect(await (await fetch(get_urls[0]?.url ?? '')).text()).toBe(`bytes of ${object_id}`)
    await upload(served, ids[1] ?? '', 2, 200)
    expect(await ask(served, `/flows/${ids[1]}/segments?limit=1000`)).toHaveLength(62)
    const again = await tams('migrate').ended
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('has ended')])
  },
  10 * MINUTE,
)
