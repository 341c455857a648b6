import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { eq } from '../../src/core/predicate.ts'
import { inconsistencies } from '../support/consistency.ts'
import { type Allocated, external, seconds, uuid, videoFlow } from '../support/fixtures.ts'
import {
  eventually,
  makeFlow,
  mediaFiles,
  runTams,
  type ServiceProcess,
  startService,
  startTams,
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

const start = async (dataDir = data, env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
  running = await startService(dataDir, { LOG_LEVEL: 'info', ...env })
  return running
}
const tams = (args: readonly string[], dataDir = data) => runTams(dataDir, args)
const record = async (service: ServiceProcess, flow: string, second: number, bytes: Uint8Array<ArrayBuffer>) => {
  const allocated = await succeed(service.call('POST', `/flows/${flow}/storage`, { limit: 1 }), 201)
  const [object] = ((await allocated.json()) as { media_objects: Allocated[] }).media_objects
  if (!object) throw new Error('nothing was allocated')
  const { url, ...rest } = object.put_url
  const headers = { 'content-type': rest['content-type'] ?? 'video/mp2t', ...rest.headers }
  await succeed(fetch(url, { method: 'PUT', body: bytes, headers }), 200)
  const timerange = seconds(1, second)[0]
  await succeed(service.call('POST', `/flows/${flow}/segments`, { object_id: object.object_id, timerange }), 201)
}

describe('a backup of a service in use', () => {
  test(
    'is whole or not there, however often its maker is killed; what is restored serves the same',
    async () => {
      const service = await start()
      const flow = await makeFlow(service)
      const bytes = crypto.getRandomValues(new Uint8Array(20_000))
      for (let second = 0; second < 150; second++) await record(service, flow, second, bytes)
      const busy = { on: true, second: 150 }
      const working = (async () => {
        while (busy.on) {
          await record(service, flow, busy.second, bytes)
          await record(service, flow, busy.second + 1, bytes)
          await succeed(
            service.call('DELETE', `/flows/${flow}/segments?timerange=[${busy.second}:0_${busy.second + 1}:0)&soft_delete=false`),
            204,
          )
          busy.second += 2
        }
      })()
      const target = path.join(directory.path, 'backup')
      for (let kill = 0; kill < 6; kill++) {
        const child = startTams(data, ['backup', target])
        await Bun.sleep(250 + kill * 60)
        child.kill()
        await child.ended
        if ((await readdir(directory.path)).includes('backup')) break
      }
      await rm(target, { recursive: true, force: true })
      const made = await tams(['backup', target, '--verify', '--json'])
      busy.on = false
      await working
      expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('is whole')])
      await service.end('SIGTERM')

      const restored = path.join(directory.path, 'restored')
      expect(await tams(['restore', target, '--verify'], restored)).toMatchObject({ code: 0 })
      expect(await withStore(restored, inconsistencies)).toEqual([])
      const again = await start(restored)
      const page = (await (await succeed(again.call('GET', `/flows/${flow}/segments?limit=1000`), 200)).json()) as {
        get_urls: { url: string }[]
      }[]
      expect(page.length).toBeGreaterThanOrEqual(150)
      for (const segment of page)
        expect(new Uint8Array(await (await succeed(fetch(segment.get_urls[0]?.url ?? ''), 200)).arrayBuffer())).toEqual(bytes)
    },
    6 * MINUTE,
  )
})

describe('a reset', () => {
  test(
    'is refused while a service holds the store, shows what there is, and empties it with --yes',
    async () => {
      const service = await start()
      const flow = await makeFlow(service)
      await record(service, flow, 0, new Uint8Array(1000))
      expect(await tams(['reset', '--yes'])).toMatchObject({ code: 1, stderr: expect.stringContaining('Another server is using') })
      await service.end('SIGTERM')
      expect(await tams(['reset'])).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('segments'),
        stderr: expect.stringContaining('--yes'),
      })
      expect((await mediaFiles(path.join(data, 'media'))).objects).toHaveLength(1)
      expect(await tams(['reset', '--yes'])).toMatchObject({ code: 0 })
      expect((await mediaFiles(path.join(data, 'media'))).objects).toEqual([])
      const again = await start()
      expect(await (await succeed(again.call('GET', '/flows?deleted_state=all'), 200)).json()).toEqual([])
      await makeFlow(again)
      await again.end('SIGTERM')
      expect(await tams(['doctor', '--data'])).toMatchObject({ code: 0 })
    },
    6 * MINUTE,
  )
})

describe('a service that was killed', () => {
  test(
    'is followed by one that goes on with its work at once, not when its leases run out',
    async () => {
      const first = await start(data, { ASYNC_DELETION_THRESHOLD: '1' })
      const flow = await makeFlow(first)
      await eventually('its workers have their leases', () =>
        withStore(data, (tables) => tables.read(async (tx) => (await tx.find('leases', ['deletion-requests'])) ?? undefined)),
      )
      await first.end('SIGKILL')
      const second = await start(data, { ASYNC_DELETION_THRESHOLD: '1' })
      await succeed(
        second.call(
          'POST',
          `/flows/${flow}/segments`,
          seconds(5).map((range) => external(range)),
        ),
        201,
      )
      const startedAt = performance.now()
      const accepted = await succeed(second.call('DELETE', `/flows/${flow}?soft_delete=false`), 202)
      const location = accepted.headers.get('location') ?? ''
      await eventually('the delete request is done', async () => {
        const request = (await (await fetch(location)).json()) as { status: string }
        return request.status === 'done' ? true : undefined
      })
      expect(performance.now() - startedAt).toBeLessThan(15_000)
    },
    6 * MINUTE,
  )
})

const small = path.join('/tmp', `tams-small-${process.pid}`)
const mount = async (): Promise<boolean> => {
  if (process.getuid?.() !== 0 || process.platform !== 'linux') return false
  await Bun.$`mkdir -p ${small}`.quiet()
  return (await Bun.$`mount -t tmpfs -o size=32m tmpfs ${small}`.quiet().nothrow()).exitCode === 0
}
const unmount = () => Bun.$`umount ${small} && rmdir ${small}`.quiet().nothrow()
const mayMount = await mount()
if (mayMount) await unmount()
else console.warn('SKIPPED: a full disk needs root and a tmpfs of its own')

describe.if(mayMount)('on a full disk', () => {
  beforeEach(async () => {
    await mount()
  })
  afterEach(async () => {
    await running?.end('SIGKILL')
    await unmount()
  }, 4 * MINUTE)
  const filler = path.join(small, 'filler')
  const fill = async (leave: number) => {
    const free = Number((await Bun.$`df --output=avail -B1 ${small} | tail -1`.quiet().text()).trim())
    // The service may take room meanwhile.
    await writeFile(filler, Buffer.alloc(Math.max(0, free - leave))).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOSPC') throw error
    })
  }
  const put = async (service: ServiceProcess) => {
    const flow = videoFlow()
    return (await service.call('PUT', `/flows/${flow.id}`, flow)).status
  }
  const atLast = (status: number, ask: () => Promise<number>) =>
    eventually(`status ${status}`, async () => ((await ask()) === status ? true : undefined), 10_000)

  test(
    'writes are refused below the mark, reads and deletions go on, and writes again when there is room',
    async () => {
      const service = await start(path.join(small, 'data'), { MIN_FREE_SPACE: '8 MiB' })
      const flow = await makeFlow(service)
      await record(service, flow, 0, new Uint8Array(1_000_000))
      await record(service, flow, 1, new Uint8Array(1_000_000))
      const allocated = (await (await succeed(service.call('POST', `/flows/${flow}/storage`, { limit: 1 }), 201)).json()) as {
        media_objects: Allocated[]
      }
      const target = allocated.media_objects[0]?.put_url
      await fill(7 * 1024 * 1024)
      await atLast(507, () => put(service))
      const refused = await service.call('POST', `/flows/${flow}/segments`, external('[5:0_6:0)'))
      expect([refused.status, ((await refused.json()) as { type: string }).type]).toEqual([507, 'storage_full'])
      const upload = await fetch(target?.url ?? '', {
        method: 'PUT',
        body: new Uint8Array(100_000),
        headers: { 'content-type': target?.['content-type'] ?? '' },
      })
      expect(upload.status).toBe(507)
      expect((await mediaFiles(path.join(small, 'data', 'media'))).temporary).toEqual([])
      const page = (await (await succeed(service.call('GET', `/flows/${flow}/segments`), 200)).json()) as { get_urls: { url: string }[] }[]
      expect(page).toHaveLength(2)
      await succeed(fetch(page[0]?.get_urls[0]?.url ?? ''), 200)
      await succeed(service.call('DELETE', `/flows/${flow}/segments?soft_delete=false`), 204)
      await eventually('the bytes are gone, and made room', async () => {
        const { objects } = await mediaFiles(path.join(small, 'data', 'media'))
        return objects.length === 0 ? true : undefined
      })
      await atLast(201, () => put(service))
      await service.end('SIGTERM')
      expect(await withStore(path.join(small, 'data'), inconsistencies)).toEqual([])
    },
    6 * MINUTE,
  )

  test(
    'with no room at all and no mark a write is refused whole, and the service recovers',
    async () => {
      const service = await start(path.join(small, 'data'), { MIN_FREE_SPACE: '0' })
      const flow = await makeFlow(service)
      await fill(0)
      const segments = seconds(5000).map((range) => external(range))
      await succeed(service.call('POST', `/flows/${flow}/segments`, segments), 507)
      expect(await (await succeed(service.call('GET', `/flows/${flow}/segments`), 200)).json()).toEqual([])
      await rm(filler)
      await succeed(service.call('POST', `/flows/${flow}/segments`, segments), 201)
      expect(await put(service)).toBe(201)
      await succeed(service.call('GET', `/flows/${uuid()}`), 404)
      await service.end('SIGTERM')
      expect(await withStore(path.join(small, 'data'), inconsistencies)).toEqual([])
      const count = await withStore(path.join(small, 'data'), (tables) => tables.read((tx) => tx.count('segments', eq('flow_id', flow))))
      expect(count).toBe(5000)
    },
    6 * MINUTE,
  )
})
