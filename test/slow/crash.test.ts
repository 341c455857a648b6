import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { everything } from '../../src/core/predicate.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { inconsistencies } from '../support/consistency.ts'
import { type Allocated, external, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import {
  eventually,
  makeFlow,
  mediaFiles,
  type ServiceProcess,
  startService,
  succeed,
  temporaryDirectory,
  withStore,
} from '../support/service-process.ts'

const MINUTE = 60_000
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let data: string
let running: ServiceProcess | undefined

beforeEach(async () => {
  directory = await temporaryDirectory()
  data = path.join(directory.path, 'data')
})
afterEach(async () => {
  await running?.end('SIGKILL')
  running = undefined
  await directory.remove()
}, 4 * MINUTE)

const start = async (env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
  // What is deleted is to go for good, with its bytes.
  running = await startService(data, { LOG_LEVEL: 'info', SOFT_DELETE_DEFAULT: 'false', ...env })
  return running
}
const counts = (tables: Tables) =>
  tables.read(async (tx) => ({
    flows: await tx.count('flows', everything),
    segments: await tx.count('segments', everything),
    objects: await tx.count('objects', everything),
    references: await tx.count('object_refs', everything),
    instances: await tx.count('object_instances', everything),
    removals: await tx.count('media_removals', everything),
  }))
const nothing = { flows: 0, segments: 0, objects: 0, references: 0, instances: 0, removals: 0 }
const checkStore = async (): Promise<void> => expect(await withStore(data, inconsistencies)).toEqual([])

/** Whole numbers below `limit`, the same ones on each run. */
const random = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state % limit
  }
}

const allSegments = async (service: ServiceProcess, flow: string): Promise<Set<string>> => {
  const found = new Set<string>()
  for (let page: string | null = ''; page !== null; ) {
    const answer: Response = await service.call(
      'GET',
      `/flows/${flow}/segments?limit=1000&accept_get_urls=${page === '' ? '' : `&page=${page}`}`,
    )
    for (const { object_id, timerange } of (await answer.json()) as { object_id: string; timerange: string }[])
      found.add(`${timerange} ${object_id}`)
    page = answer.headers.get('x-paging-nextkey')
  }
  return found
}

describe('kill -9', () => {
  test(
    'in the middle of concurrent posts loses nothing that was acknowledged and leaves nothing half done',
    async () => {
      const ROUNDS = 5
      const WRITERS = 16
      const pick = random(42)
      const acknowledged = new Map<string, Set<string>>()
      const asked = new Map<string, Set<string>>()
      let at = 0
      for (let round = 0; round < ROUNDS; round++) {
        const service = await start()
        for (const [flow, segments] of acknowledged) {
          const found = await allSegments(service, flow)
          expect([...segments].filter((segment) => !found.has(segment))).toEqual([])
          expect([...found].filter((segment) => !asked.get(flow)?.has(segment))).toEqual([])
        }
        const flow = await makeFlow(service)
        const [known, sent] = [new Set<string>(), new Set<string>()]
        acknowledged.set(flow, known)
        asked.set(flow, sent)
        let left = 60 + pick(250)
        let killed = false
        const write = async (): Promise<void> => {
          while (!killed) {
            const size = pick(4) === 0 ? 20 : 1
            const segments = Array.from({ length: size }, () => external(`[${at}:0_${++at}:0)`))
            const texts = segments.map(({ timerange, object_id }) => `${timerange} ${object_id}`)
            for (const text of texts) sent.add(text)
            const answer = await service.call('POST', `/flows/${flow}/segments`, size === 1 ? segments[0] : segments).catch(() => undefined)
            if (answer === undefined) return
            expect(answer.status).toBe(201)
            for (const text of texts) known.add(text)
            if (--left === 0) {
              killed = true
              service.signal('SIGKILL')
            }
          }
        }
        await Promise.all(Array.from({ length: WRITERS }, write))
        await service.exited
        expect(known.size).toBeGreaterThan(50)
        await checkStore()
      }
    },
    10 * MINUTE,
  )

  test(
    'in the middle of a large deletion: the next start goes on to the end, and no rows or bytes are left over',
    async () => {
      const SEGMENTS = 20_000
      const MEDIA = 100
      const service = await start()
      const flow = await makeFlow(service)
      const other = await makeFlow(service)
      const media = await upload(service, flow, MEDIA)
      const shared = media[0] ?? ''
      const ranges = seconds(SEGMENTS)
      const segments = ranges.map((timerange, index) =>
        index % 200 === 0 ? { object_id: media[index / 200], timerange } : external(timerange),
      )
      for (let from = 0; from < SEGMENTS; from += 2000)
        await succeed(service.call('POST', `/flows/${flow}/segments`, segments.slice(from, from + 2000)), 201)
      await succeed(service.call('POST', `/flows/${other}/segments`, { object_id: shared, timerange: '[0:0_1:0)' }), 201)
      const accepted = await succeed(service.call('DELETE', `/flows/${flow}`), 202)
      const { id } = (await accepted.json()) as { id: string }

      type Record = { status: string; timerange_remaining: string }
      const left = ({ timerange_remaining }: Record) => Number(/^\[(\d+)/.exec(timerange_remaining)?.[1] ?? SEGMENTS)
      let interrupted = 0
      let progress = 0
      let current = service
      for (let round = 0; round < 2; round++) {
        const request = await eventually('progress of the delete request', async () => {
          const record = (await (await current.call('GET', `/flow-delete-requests/${id}`)).json()) as Record
          return record.status === 'done' || left(record) > progress ? record : undefined
        })
        expect(left(request)).toBeGreaterThanOrEqual(progress)
        if (request.status === 'done') break
        interrupted++
        progress = left(request)
        await current.end('SIGKILL')
        await checkStore()
        current = await start()
        expect((await current.call('GET', `/flows/${flow}`)).status).toBe(404)
      }
      expect(interrupted).toBeGreaterThan(0)
      await eventually('the end of the delete request', async () => {
        const record = (await (await current.call('GET', `/flow-delete-requests/${id}`)).json()) as Record
        return record.status === 'done' ? record : undefined
      })
      await eventually('the removal of the bytes', async () =>
        (await mediaFiles(path.join(data, 'media'))).objects.length === 1 ? true : undefined,
      )
      expect(await current.end('SIGTERM')).toBe(0)
      await checkStore()
      expect(await withStore(data, counts)).toEqual({ flows: 1, segments: 1, objects: 1, references: 1, instances: 1, removals: 0 })
    },
    10 * MINUTE,
  )

  test(
    'in the middle of the removal of bytes: none are left over',
    async () => {
      const service = await start()
      const flow = await makeFlow(service)
      const media = await upload(service, flow, 300)
      const segments = media.map((object_id, index) => ({ object_id, timerange: `[${index}:0_${index + 1}:0)` }))
      await succeed(service.call('POST', `/flows/${flow}/segments`, segments), 201)
      await succeed(service.call('DELETE', `/flows/${flow}`), 204)
      const files = async () => (await mediaFiles(path.join(data, 'media'))).objects.length
      await eventually('the first removal', async () => ((await files()) < 300 ? true : undefined))
      await service.end('SIGKILL')
      await checkStore()
      const again = await start()
      await eventually('the last removal', async () => ((await files()) === 0 ? true : undefined))
      // The rows go behind the bytes.
      await eventually('the last row', async () => ((await withStore(data, counts)).removals === 0 ? true : undefined))
      expect(await again.end('SIGTERM')).toBe(0)
      expect(await withStore(data, counts)).toEqual(nothing)
      await checkStore()
    },
    6 * MINUTE,
  )

  test(
    'in the middle of uploads: those acknowledged are whole, the others can be made again, and nothing is left of them',
    async () => {
      const UPLOADS = 24
      const service = await start()
      const flow = await makeFlow(service)
      const allocated = await allocate(service, flow, UPLOADS)
      const content = (index: number) => new Uint8Array(2_000_000).fill(index + 1)
      const acknowledged = new Set<number>()
      await Promise.all(
        allocated.map(async (target, index) => {
          const answer = await put(target, content(index)).catch(() => undefined)
          if (answer?.status === 200) acknowledged.add(index)
          if (acknowledged.size === 5) service.signal('SIGKILL')
        }),
      )
      await service.exited
      expect(acknowledged.size).toBeGreaterThanOrEqual(5)
      expect(acknowledged.size).toBeLessThan(UPLOADS)

      const again = await start()
      expect((await mediaFiles(path.join(data, 'media'))).temporary).toEqual([])
      for (const [index, target] of allocated.entries()) {
        if (acknowledged.has(index)) continue
        const moved = { ...target, put_url: { ...target.put_url, url: target.put_url.url.replace(service.url, again.url) } }
        expect((await put(moved, content(index))).status).toBe(200)
      }
      const segments = allocated.map(({ object_id }, index) => ({ object_id, timerange: `[${index}:0_${index + 1}:0)` }))
      await succeed(again.call('POST', `/flows/${flow}/segments`, segments), 201)
      const listed = (await (await again.call('GET', `/flows/${flow}/segments?limit=100`)).json()) as { get_urls: { url: string }[] }[]
      expect(listed).toHaveLength(UPLOADS)
      for (const [index, { get_urls }] of listed.entries()) {
        const bytes = await (await fetch(get_urls[0]?.url ?? '')).bytes()
        expect(Buffer.compare(bytes, content(index))).toBe(0)
      }
      expect(await again.end('SIGTERM')).toBe(0)
      const files = await mediaFiles(path.join(data, 'media'))
      expect([files.objects.length, files.temporary]).toEqual([UPLOADS, []])
      await checkStore()
    },
    6 * MINUTE,
  )

  test(
    'in the middle of copies between backends: all are made in the end, and are whole',
    async () => {
      const OBJECTS = 30
      const [first, second] = [uuid(), uuid()]
      const configuration = path.join(directory.path, 'storage.json')
      await mkdir(directory.path, { recursive: true })
      await writeFile(configuration, JSON.stringify(storageConfiguration(first, second)))
      const env = { STORAGE_CONFIG: configuration }
      const service = await start(env)
      const flow = await makeFlow(service)
      const media = await upload(service, flow, OBJECTS, new Uint8Array(500_000).fill(7))
      const segments = media.map((object_id, index) => ({ object_id, timerange: `[${index}:0_${index + 1}:0)` }))
      await succeed(service.call('POST', `/flows/${flow}/segments`, segments), 201)
      for (const id of media) await succeed(service.call('POST', `/objects/${id}/instances`, { storage_id: second }), 201)
      type Copied = { get_urls: { url: string }[] }[]
      const copied = async (from: ServiceProcess) =>
        ((await (await from.call('GET', `/flows/${flow}/segments?limit=100&accept_storage_ids=${second}`)).json()) as Copied).flatMap(
          ({ get_urls }) => get_urls.map(({ url }) => url),
        )
      await eventually('the first copies', async () => ((await copied(service)).length > 2 ? true : undefined))
      await service.end('SIGKILL')
      await checkStore()
      const again = await start(env)
      const urls = await eventually('the last copy', async () => {
        const found = await copied(again)
        return found.length === OBJECTS ? found : undefined
      })
      for (const url of urls) expect(new Set(await (await fetch(url)).bytes())).toEqual(new Set([7]))
      expect(await again.end('SIGTERM')).toBe(0)
      await checkStore()
      const files = await Promise.all(['one', 'two'].map((name) => mediaFiles(path.join(data, name))))
      expect(files.map(({ objects, temporary }) => [objects.length, temporary.length])).toEqual([
        [OBJECTS, 0],
        [OBJECTS, 0],
      ])
    },
    6 * MINUTE,
  )
})

const storageConfiguration = (first: string, second: string): unknown => {
  const backend = { type: 'disk', provider: 'test', store_product: 'directory' }
  return {
    backends: [
      { ...backend, id: first, root: 'one', default_storage: true },
      { ...backend, id: second, root: 'two' },
    ],
  }
}

const allocate = async (service: ServiceProcess, flow: string, count: number): Promise<Allocated[]> => {
  const answer = await succeed(service.call('POST', `/flows/${flow}/storage`, { limit: count }), 201)
  return ((await answer.json()) as { media_objects: Allocated[] }).media_objects
}
const put = ({ put_url }: Allocated, body: Uint8Array<ArrayBuffer>): Promise<Response> =>
  fetch(put_url.url, { method: 'PUT', body, headers: { 'content-type': put_url['content-type'] ?? '', ...put_url.headers } })
const upload = async (service: ServiceProcess, flow: string, count: number, body = new Uint8Array(1000)): Promise<string[]> => {
  const allocated = await allocate(service, flow, count)
  await Promise.all(allocated.map((target) => succeed(put(target, body), 200)))
  return allocated.map(({ object_id }) => object_id)
}

const compiler = process.platform === 'linux' ? Bun.which('cc') : null
if (!compiler) console.warn('skipped: counting syncs needs Linux and a C compiler (cc)')

// A killed process does not lose what the system still buffers, so only the system calls show that an answer was durable.
test.skipIf(!compiler)(
  'every answer to a write comes after a sync of the log, and reads need none',
  async () => {
    const library = path.join(directory.path, 'sync-counter.so')
    const counter = path.join(directory.path, 'counter')
    writeFileSync(counter, new Uint8Array(8))
    const source = path.join(import.meta.dir, 'sync-counter.c')
    const compiled = Bun.spawnSync([compiler ?? 'cc', '-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
    expect(compiled.stderr.toString()).toBe('')
    const syncs = () => Number(readFileSync(counter).readBigUInt64LE())
    const service = await start({ LD_PRELOAD: library, SYNC_COUNTER: counter })
    const during = async (method: string, target: string, status: number, body?: unknown): Promise<number> => {
      const before = syncs()
      await succeed(service.call(method, target, body), status)
      return syncs() - before
    }
    const flow = await makeFlow(service)
    const posts: number[] = []
    for (let at = 0; at < 50; at++) posts.push(await during('POST', `/flows/${flow}/segments`, 201, external(`[${at}:0_${at + 1}:0)`)))
    for (const count of posts) expect(count).toBeGreaterThanOrEqual(1)
    const second = videoFlow()
    const writes: [method: string, path: string, status: number, body?: unknown][] = [
      ['PUT', `/flows/${second.id}`, 201, second],
      ['PUT', `/flows/${second.id}`, 204, { ...second, label: 'changed' }],
      ['PUT', `/flows/${second.id}/tags/kind`, 204, 'test'],
      ['POST', `/flows/${second.id}/storage`, 201, { limit: 2 }],
      ['DELETE', `/flows/${second.id}`, 204],
      ['DELETE', `/flows/${flow}/segments?timerange=[0:0_5:0)`, 204],
      ['POST', '/service', 200, { name: 'synced' }],
    ]
    for (const [method, target, status, body] of writes) expect(await during(method, target, status, body)).toBeGreaterThanOrEqual(1)
    // Of so many reads, not even the workers' own writes can make one each.
    let reads = 0
    for (let round = 0; round < 50; round++) reads += await during('GET', `/flows/${flow}/segments`, 200)
    expect(reads).toBeLessThan(10)
  },
  6 * MINUTE,
)
