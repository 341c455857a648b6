import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { newBucket, openS3Store, type S3Server, s3Keys, s3Servers } from '../support/s3-servers.ts'
import { eventually, type ServiceProcess, startService, temporaryDirectory } from '../support/service-process.ts'
import { FFMPEG, frameHashes, hasFfmpeg, type IngestedFlow, MINUTE, ofFormat, picture, run, succeed, TAMS, tone } from './media-service.ts'

if (!hasFfmpeg) console.warn('SKIPPED: media through S3, because ffmpeg or ffprobe is not installed')

interface Item {
  readonly object_id: string
  readonly get_urls: readonly { readonly url: string; readonly label: string }[]
}

const diskId = '5b1b4b5e-59d6-4f0a-8a51-6d0b1d2f8a01'
const s3Id = '60af2ab4-e8a5-4c65-a09b-d35983680315'

for (const kind of s3Servers.filter(({ checksSignatures }) => checksSignatures))
  describe.skipIf(!hasFfmpeg)(`a service whose media are on ${kind.name}`, () => {
    let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
    let server: S3Server
    let clip: string
    let expected: readonly string[]
    beforeAll(async () => {
      scratch = await temporaryDirectory()
      server = await kind.start()
      clip = path.join(scratch.path, 'clip.mp4')
      const encoders = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p', '-c:a', 'aac']
      await succeed([...FFMPEG, ...picture('640x360', '25'), ...tone(48000), '-t', '12', ...encoders, clip])
      expected = await frameHashes(clip)
    }, 4 * MINUTE)
    afterAll(async () => {
      await server.stop()
      await scratch.remove()
    })

    const start = async (name: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> => {
      const data = path.join(scratch.path, name)
      await mkdir(data)
      return startService(data, env)
    }
    const environment = (bucket: string) => ({
      S3_ENDPOINT_URL: server.endpoint,
      S3_BUCKET_NAME: bucket,
      S3_ACCESS_KEY_ID: s3Keys.accessKeyId,
      S3_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
    })
    const ingest = async ({ url }: ServiceProcess): Promise<readonly IngestedFlow[]> =>
      (JSON.parse(await succeed([...TAMS, 'ingest', clip, '--url', url, '--json'])) as { flows: IngestedFlow[] }).flows
    const exported = async ({ url }: ServiceProcess, flow: string): Promise<readonly string[]> => {
      const file = path.join(scratch.path, `${flow}.mp4`)
      await succeed([...TAMS, 'export', flow, file, '--url', url, '--force'])
      return frameHashes(file)
    }
    const json = async <T>(service: ServiceProcess, target: string): Promise<T> => (await service.call('GET', target)).json() as Promise<T>

    test(
      'a clip goes in and out by signed URLs of the S3 server with the same pictures, and its objects go with their flows',
      async () => {
        const bucket = await newBucket(server.endpoint)
        const store = await openS3Store(server.endpoint, bucket)
        const service = await start('s3-only', environment(bucket))
        try {
          const flows = await ingest(service)
          const video = ofFormat(flows, ':video')
          const segments = await json<Item[]>(service, `/flows/${video.id}/segments?limit=1000`)
          expect(segments.length).toBe(6)
          const urls = segments.flatMap(({ get_urls }) => get_urls.map(({ url }) => url))
          expect(urls.filter((url) => url.startsWith(`${server.endpoint}/${bucket}/tams/`))).toHaveLength(6)
          expect((await run([...FFMPEG, '-i', urls[3] ?? '', '-f', 'null', '-'])).code).toBe(0)
          expect(await exported(service, ofFormat(flows, ':multi').id)).toEqual([...expected])

          const stored = await Array.fromAsync(store.list({}), ({ key }) => key)
          expect(stored.length).toBe(flows.reduce((sum, { uploaded }) => sum + uploaded, 0))
          for (const { id } of flows) await service.call('DELETE', `/flows/${id}?soft_delete=false`)
          await eventually('the bucket is empty', async () => {
            const left = await Array.fromAsync(store.list({}), ({ key }) => key)
            return left.length === 0 ? true : undefined
          })
        } finally {
          await service.end('SIGTERM')
        }
      },
      6 * MINUTE,
    )

    test(
      'an object on disk is copied to S3 and read from there',
      async () => {
        const bucket = await newBucket(server.endpoint)
        const described = { provider: 'ours', store_product: 'some' }
        const keys = { access_key_id: s3Keys.accessKeyId, secret_access_key: s3Keys.secretAccessKey }
        const file = path.join(scratch.path, 'storage.json')
        const backends = [
          { id: diskId, type: 'disk', root: 'media', label: 'disk', default_storage: true, ...described },
          { id: s3Id, type: 's3', endpoint: server.endpoint, bucket, label: 'bucket', ...described, ...keys },
        ]
        await Bun.write(file, JSON.stringify({ backends }))
        const service = await start('both', { STORAGE_CONFIG: file })
        try {
          const video = ofFormat(await ingest(service), ':video')
          const [segment] = await json<Item[]>(service, `/flows/${video.id}/segments?limit=1`)
          const { object_id = '', get_urls = [] } = segment ?? {}
          expect(get_urls.map(({ label }) => label)).toEqual(['disk'])
          expect((await service.call('POST', `/objects/${object_id}/instances`, { storage_id: s3Id })).status).toBe(201)
          const copy = await eventually('the copy is advertised', async () => {
            const { get_urls: urls } = await json<Item>(service, `/objects/${object_id}`)
            return urls.find(({ label }) => label === 'bucket')
          })
          expect(copy.url).toStartWith(`${server.endpoint}/${bucket}/`)
          const [original, copied] = await Promise.all([get_urls[0]?.url ?? '', copy.url].map(async (url) => (await fetch(url)).bytes()))
          expect(copied?.length).toBeGreaterThan(1000)
          expect(copied).toEqual(original ?? new Uint8Array())
        } finally {
          await service.end('SIGTERM')
        }
      },
      6 * MINUTE,
    )
  })

const [any] = s3Servers
describe.skipIf(!any)('a service whose S3 goes away', () => {
  test(
    'goes on with its metadata, says so, and starts without it',
    async () => {
      const scratch = await temporaryDirectory()
      const server = await any?.start()
      if (!server) return
      const env = {
        S3_ENDPOINT_URL: server.endpoint,
        S3_BUCKET_NAME: await newBucket(server.endpoint),
        S3_ACCESS_KEY_ID: s3Keys.accessKeyId,
        S3_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
      }
      let service = await startService(scratch.path, env)
      const essence = { frame_width: 640, frame_height: 360, frame_rate: { numerator: 25 } }
      const format = { format: 'urn:x-nmos:format:video', codec: 'video/h264', container: 'video/mp2t', essence_parameters: essence }
      const flow = { id: diskId, source_id: s3Id, ...format }
      try {
        expect((await service.call('PUT', `/flows/${flow.id}`, flow)).status).toBe(201)
        expect((await service.call('GET', '/health')).status).toBe(200)
        await server.stop()
        expect((await service.call('GET', `/flows/${flow.id}`)).status).toBe(200)
        expect((await service.call('GET', '/health')).status).toBe(503)
        await service.end('SIGTERM')
        service = await startService(scratch.path, env)
        expect(service.lines.some((line) => line.includes('"check":"bucket"'))).toBe(true)
        expect((await service.call('GET', `/flows/${flow.id}`)).status).toBe(200)
        const refused = await service.call('POST', `/flows/${flow.id}/storage`, { limit: 1 })
        expect([refused.status, refused.headers.has('retry-after')]).toEqual([503, true])
      } finally {
        await service.end('SIGTERM')
        await server.stop()
        await scratch.remove()
      }
    },
    4 * MINUTE,
  )
})
