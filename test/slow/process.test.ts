import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Allocated } from '../support/fixtures.ts'
import { external, videoFlow } from '../support/fixtures.ts'
import {
  eventually,
  type Line,
  mediaFiles,
  refusedService,
  type ServiceProcess,
  startService,
  temporaryDirectory,
} from '../support/service-process.ts'

const TIMEOUT = 120_000
let directory: Awaited<ReturnType<typeof temporaryDirectory>>
let data: string
const running: ServiceProcess[] = []

beforeEach(async () => {
  directory = await temporaryDirectory()
  data = path.join(directory.path, 'data')
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.end('SIGKILL')))
  await directory.remove()
}, TIMEOUT)

const start = async (env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
  const service = await startService(data, env)
  running.push(service)
  return service
}

const makeFlow = async (service: ServiceProcess) => {
  const flow = videoFlow()
  expect((await service.call('PUT', `/flows/${flow.id}`, flow)).status).toBe(201)
  return flow
}
const allocateOne = async (service: ServiceProcess, flowId: string): Promise<Allocated> => {
  const answer = await service.call('POST', `/flows/${flowId}/storage`, { limit: 1 })
  const [first] = ((await answer.json()) as { media_objects: Allocated[] }).media_objects
  if (!first) throw new Error('nothing was allocated')
  return first
}

/** An upload whose end waits for `finish`. */
const slowUpload = ({ put_url }: Allocated) => {
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  let begun = () => {}
  const started = new Promise<void>((resolve) => {
    begun = resolve
  })
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(new Uint8Array(100_000).fill(1))
      begun()
      await finished
      controller.enqueue(new Uint8Array(100_000).fill(2))
      controller.close()
    },
  })
  const headers = { 'content-type': put_url['content-type'] ?? '', ...put_url.headers }
  const answer = fetch(put_url.url, { method: 'PUT', body, headers })
  return { answer, started, finish }
}

describe('the end of the service', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: what is in progress is finished, nothing new is taken, and the exit code is 0',
    async (signal) => {
      const service = await start()
      const flow = await makeFlow(service)
      const allocated = await allocateOne(service, flow.id)
      const upload = slowUpload(allocated)
      await upload.started
      await uploadIsIn()
      service.signal(signal)
      await service.line('stopping')
      await expect(fetch(`${service.url}/service`, { keepalive: false })).rejects.toThrow()
      upload.finish()
      expect((await upload.answer).status).toBe(200)
      expect(await service.exited).toBe(0)
      const lines = service.lines.map((line) => JSON.parse(line) as Line)
      expect(lines.filter((line) => line.msg === 'stopped')).toHaveLength(1)
      expect(lines.filter((line) => line.method === 'PUT' && String(line.url).startsWith('/media/'))).toMatchObject([{ status: 200 }])

      const again = await start()
      const segment = { object_id: allocated.object_id, timerange: '[0:0_1:0)' }
      expect((await again.call('POST', `/flows/${flow.id}/segments`, segment)).status).toBe(201)
      const [stored] = (await (await again.call('GET', `/flows/${flow.id}/segments`)).json()) as { get_urls: { url: string }[] }[]
      const bytes = await (await fetch(stored?.get_urls[0]?.url ?? '')).bytes()
      expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([200_000, 1, 2])
    },
    TIMEOUT,
  )

  test(
    'a second signal ends it at once',
    async () => {
      const service = await start()
      const flow = await makeFlow(service)
      const upload = slowUpload(await allocateOne(service, flow.id))
      upload.answer.catch(() => undefined)
      await upload.started
      await uploadIsIn()
      service.signal('SIGTERM')
      await service.line('stopping')
      expect(await service.end('SIGTERM')).toBe(130)
      upload.finish()
      await expect(upload.answer).rejects.toThrow()
    },
    TIMEOUT,
  )
})

/** The service writes the bytes of an upload. */
const uploadIsIn = () =>
  eventually('a file of the upload', async () => ((await mediaFiles(path.join(data, 'media'))).temporary.length > 0 ? true : undefined))

describe('a start that is refused', () => {
  test(
    'a second service on the same directory: it says so, and the first goes on',
    async () => {
      const service = await start()
      const { code, stderr } = await refusedService(data, {})
      expect(code).toBe(1)
      expect(stderr).toContain('Another server is using')
      expect(stderr).toContain(data)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect((await service.call('GET', '/service')).status).toBe(200)
      expect(await service.end('SIGTERM')).toBe(0)
      await (await start()).end('SIGTERM')
    },
    TIMEOUT,
  )

  test(
    'a killed service does not keep its directory',
    async () => {
      await (await start()).end('SIGKILL')
      const service = await start()
      expect((await service.call('GET', '/service')).status).toBe(200)
    },
    TIMEOUT,
  )

  test.each([
    ['HOST off loopback', { HOST: '0.0.0.0' }, ['HOST', 'TAMS_INSECURE']],
    ['HOST off loopback, IPv6', { HOST: '::' }, ['HOST', 'TAMS_INSECURE']],
    ['a port that is none', { PORT: 'http' }, ['PORT', 'http']],
    ['a boolean that is none', { TRUST_PROXY: 'perhaps' }, ['TRUST_PROXY', 'perhaps']],
    ['a log level that is none', { LOG_LEVEL: 'loud' }, ['LOG_LEVEL', 'loud']],
    ['a duration that is too short', { S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT: '5s' }, ['S3_PRESIGNED_URL_DOWNLOAD_TIMEOUT']],
    ['a storage configuration that is not there', { STORAGE_CONFIG: '/no/such/file.json' }, ['STORAGE_CONFIG', '/no/such/file.json']],
    ['a backend that is not there', { DEFAULT_STORAGE_BACKEND_ID: '60af2ab4-e8a5-4c65-a09b-d35983680315' }, ['DEFAULT_STORAGE_BACKEND_ID']],
  ])(
    '%s: the message names the variable, and the exit code is 1',
    async (_, env, words) => {
      const { code, stderr } = await refusedService(data, env)
      expect(code).toBe(1)
      for (const word of words) expect(stderr).toContain(word)
      expect(stderr).not.toContain('    at ')
    },
    TIMEOUT,
  )

  test(
    'a port that is taken: the message says which, and nothing keeps running',
    async () => {
      const taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
      try {
        const { code, stderr } = await refusedService(data, { PORT: String(taken.port) })
        expect(code).toBe(1)
        expect(stderr).toContain(String(taken.port))
      } finally {
        await taken.stop(true)
      }
      expect((await (await start()).call('GET', '/service')).status).toBe(200)
    },
    TIMEOUT,
  )
})

test(
  'listening off loopback with TAMS_INSECURE warns',
  async () => {
    const service = await start({ HOST: '0.0.0.0', TAMS_INSECURE: 'true' })
    expect(service.lines.map((line) => JSON.parse(line) as Line).some((line) => line.level === 'warn' && line.host === '0.0.0.0')).toBe(
      true,
    )
  },
  TIMEOUT,
)

test(
  'a restart keeps everything: metadata, bytes, signed URLs, the id of the backend',
  async () => {
    const first = await start()
    const flow = await makeFlow(first)
    await first.call('POST', '/service', { name: 'kept', description: 'as well' })
    const { object_id, put_url } = await allocateOne(first, flow.id)
    const put = await fetch(put_url.url, {
      method: 'PUT',
      body: 'the bytes',
      headers: { 'content-type': 'video/mp2t', ...put_url.headers },
    })
    expect(put.status).toBe(200)
    const body = [{ object_id, timerange: '[0:0_1:0)' }, external('[1:0_2:0)')]
    expect((await first.call('POST', `/flows/${flow.id}/segments`, body)).status).toBe(201)
    const paths = [
      '/service',
      '/service/storage-backends',
      '/sources',
      '/flows',
      `/flows/${flow.id}?include_timerange=true`,
      `/objects/${object_id}?accept_get_urls=`,
    ]
    const read = (service: ServiceProcess) =>
      // Each start has a port of its own, which is in the URLs.
      Promise.all(paths.map(async (target) => (await (await service.call('GET', target)).text()).replaceAll(service.url, '')))
    const before = await read(first)
    const [segment] = (await (await first.call('GET', `/flows/${flow.id}/segments`)).json()) as { get_urls: { url: string }[] }[]
    expect(await first.end('SIGTERM')).toBe(0)

    const second = await start()
    expect(await read(second)).toEqual(before)
    const url = (segment?.get_urls[0]?.url ?? '').replace(first.url, second.url)
    expect(await (await fetch(url)).text()).toBe('the bytes')
    expect((await (await second.call('GET', `/flows/${flow.id}/segments`)).json()) as unknown[]).toHaveLength(2)
  },
  TIMEOUT,
)

test(
  'the secret key is for its owner only, and is kept',
  async () => {
    await (await start()).end('SIGTERM')
    const file = path.join(data, 'secret.key')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const before = await Bun.file(file).text()
    expect(before.length).toBeGreaterThanOrEqual(32)
    await (await start()).end('SIGTERM')
    expect(await Bun.file(file).text()).toBe(before)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  },
  TIMEOUT,
)

test(
  'every answer has an x-request-id, every log line is JSON, and each answer has the line with its id',
  async () => {
    const service = await start()
    const flow = await makeFlow(service)
    const { put_url } = await allocateOne(service, flow.id)
    const media = new URL(put_url.url)
    const requests: [method: string, path: string, body?: string][] = [
      ['GET', '/'],
      ['HEAD', '/service'],
      ['GET', '/flows?limit=x'],
      ['GET', '/nothing'],
      ['GET', `/flows/${flow.id}/segments`],
      ['POST', '/flows'],
      ['PUT', `/flows/${flow.id}`, '{"broken'],
      ['PUT', media.pathname + media.search, 'the bytes'],
      ['GET', media.pathname],
      ['OPTIONS', media.pathname],
      ['OPTIONS', '/flows'],
      ['GET', '/openapi.json'],
      ['GET', '/health'],
    ]
    const ids: string[] = []
    for (const [method, target, body] of requests) {
      const headers = { 'content-type': target.startsWith('/media') ? 'video/mp2t' : 'application/json' }
      const answer = await fetch(`${service.url}${target}`, { method, ...(body !== undefined && { body, headers }) })
      const id = answer.headers.get('x-request-id')
      if (id === null) throw new Error(`${method} ${target} → ${answer.status} has no x-request-id`)
      ids.push(id)
    }
    expect(new Set(ids).size).toBe(requests.length)
    expect(await service.end('SIGTERM')).toBe(0)
    const lines = service.lines.map((line) => JSON.parse(line) as Line)
    const answers = lines.filter((line) => line.msg === 'request')
    const preflight = ids[requests.findIndex(([method, target]) => method === 'OPTIONS' && target === '/flows')]
    // A preflight is answered before anything is known of it, and is no line of the log.
    expect(ids.filter((id) => id !== preflight && answers.filter((line) => line.request_id === id).length !== 1)).toEqual([])
    expect(
      answers.every((line) => typeof line.status === 'number' && typeof line.ms === 'number' && typeof line.request_id === 'string'),
    ).toBe(true)
    expect(lines.every((line) => typeof line.level === 'string' && typeof line.time === 'string')).toBe(true)
    // The signature of a media URL gives access: it is in no line.
    const signature = [...media.searchParams.values()].toSorted((a, b) => b.length - a.length)[0] ?? ''
    expect(signature.length).toBeGreaterThan(20)
    expect(service.lines.join('\n')).not.toContain(signature)
  },
  TIMEOUT,
)
