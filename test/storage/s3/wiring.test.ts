import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readConfig } from '../../../src/config.ts'
import { openStores } from '../../../src/open-stores.ts'
import { readStorageConfig } from '../../../src/storage-config.ts'
import { type StubS3, stubS3 } from './stub-server.ts'

const diskId = '5b1b4b5e-59d6-4f0a-8a51-6d0b1d2f8a01'
const s3Id = '60af2ab4-e8a5-4c65-a09b-d35983680315'
const described = { provider: 'ours', store_product: 'some' }
const keys = { access_key_id: 'key', secret_access_key: 'secret' }

let folder: string
let stub: StubS3
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tams-s3-wiring-'))
  stub = await stubS3()
})
afterEach(async () => {
  stub.close()
  await rm(folder, { recursive: true })
})

const environment = (more: Readonly<Record<string, string>> = {}) => ({
  TAMS_DATA_DIR: path.join(folder, 'data'),
  S3_ENDPOINT_URL: stub.endpoint,
  S3_BUCKET_NAME: 'media',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'secret',
  ...more,
})
const storageFile = async (...backends: readonly unknown[]): Promise<string> => {
  const file = path.join(folder, 'storage.json')
  await Bun.write(file, JSON.stringify({ backends }))
  return file
}
const labels = async (env: Readonly<Record<string, string>>): Promise<readonly string[]> => {
  const stores = await openStores(readConfig(env))
  await stores.close()
  return stores.backends.map(({ info }) => `${info.label}${info.default_storage ? ' (default)' : ''}`)
}

describe('S3 in the environment', () => {
  test('is the one backend of a new store, and keeps its id', async () => {
    const ids: string[] = []
    for (let start = 0; start < 2; start++) {
      const stores = await openStores(readConfig(environment()), { serving: true })
      expect(stores.served).toEqual([])
      expect(stores.backends.map(({ info }) => info)).toMatchObject([{ label: 's3', default_storage: true }])
      ids.push(...stores.backends.map(({ store }) => store.storageId))
      await stores.close()
    }
    expect(ids[0]).toBe(ids[1] ?? '')
  })

  test('comes before the media of a store that began on one machine, which stay readable', async () => {
    expect(await labels({ TAMS_DATA_DIR: path.join(folder, 'data') })).toEqual(['embedded (default)'])
    expect(await labels(environment())).toEqual(['s3 (default)', 'embedded'])
  })

  test('gives plain URLs where MEDIA_PUBLIC_BASE_URL says, and none otherwise', async () => {
    const without = await openStores(readConfig(environment()))
    expect(without.backends[0]?.store.plainUrl('a b', { contentType: undefined })).toBeUndefined()
    await without.close()
    const stores = await openStores(readConfig(environment({ MEDIA_PUBLIC_BASE_URL: 'https://media.example/tams' })))
    expect(stores.backends[0]?.store.plainUrl('a b/c', { contentType: undefined })).toBe('https://media.example/tams/a%20b/c')
    await stores.close()
  })

  test('stops the start when the bucket does not exist, and says so', async () => {
    stub.bucketExists = false
    await expect(openStores(readConfig(environment()), { serving: true })).rejects.toThrow('Bucket media does not exist')
    // What was opened is closed again: the next start is not refused for it.
    stub.bucketExists = true
    await (await openStores(readConfig(environment()), { serving: true })).close()
  })

  test('tells what is not right and starts', async () => {
    stub.cors = false
    const told: string[] = []
    const onFinding = (_: unknown, { check, severity }: { check: string; severity: string }) => void told.push(`${check} ${severity}`)
    await (await openStores(readConfig(environment()), { serving: true, onFinding })).close()
    expect(told).toEqual(['cors warning'])
  })
})

describe('S3 in STORAGE_CONFIG', () => {
  const disk = { id: diskId, type: 'disk', root: 'media', label: 'disk', ...described }
  const s3 = { id: s3Id, type: 's3', bucket: 'media', label: 'bucket', ...described, ...keys }

  test('stands beside disks', async () => {
    const file = await storageFile(disk, { ...s3, endpoint: stub.endpoint, default_storage: true })
    expect(await labels({ TAMS_DATA_DIR: path.join(folder, 'data'), STORAGE_CONFIG: file })).toEqual(['disk', 'bucket (default)'])
  })

  test.each([
    ['AWS', { region: 'eu-west-2' }, { endpoint: 'https://s3.eu-west-2.amazonaws.com', region: 'eu-west-2', pathStyle: false }],
    ['AWS without a region', {}, { endpoint: 'https://s3.us-east-1.amazonaws.com', region: 'us-east-1', pathStyle: false }],
    [
      'another server',
      { endpoint: 'http://s3.test', region: 'north' },
      { endpoint: 'http://s3.test', region: 'us-east-1', pathStyle: true },
    ],
    [
      'another server with settings',
      { endpoint: 'http://s3.test', s3_region: 'x', path_style: false, server_side_encryption: 'AES256', conditional_uploads: false },
      { region: 'x', pathStyle: false, serverSideEncryption: 'AES256', conditionalUploads: false },
    ],
  ])('on %s takes what the file does not say from where it is', async (_title, members, expected) => {
    const [settings] = await readStorageConfig(await storageFile({ ...s3, ...members }))
    expect(settings).toMatchObject({ type: 's3', s3: expected })
    const shown = ['id', 'label', 'provider', 'region', 'store_product', 'store_type']
    expect(Object.keys(settings?.info ?? {}).filter((name) => !shown.includes(name))).toEqual([])
  })

  test.each([
    ['a type that is not there', { ...s3, type: 'tape' }, '"disk" or "s3"'],
    ['no bucket', { ...s3, bucket: undefined }, 'backends[0]: bucket: is required'],
    ['a root', { ...s3, root: 'media' }, 'backends[0]: root'],
    ['half of its keys', { ...s3, secret_access_key: undefined }, 'expected both or none'],
    ['an endpoint that is no URL', { ...s3, endpoint: 'minio:9000' }, 'endpoint: "minio:9000" is not an http or https URL'],
  ])('with %s is refused, naming the member', async (_title, backend, message) => {
    await expect(readStorageConfig(await storageFile(backend))).rejects.toThrow(message)
  })

  test('is refused twice for one bucket', async () => {
    const file = await storageFile(s3, { ...s3, id: diskId, label: 'again' })
    await expect(readStorageConfig(file)).rejects.toThrow('bucket "https://s3.us-east-1.amazonaws.com media" is there twice')
  })
})

describe('tams storage cors', () => {
  const cors = async (env: Readonly<Record<string, string>>, ...args: readonly string[]) => {
    const command = [process.execPath, 'run', `${import.meta.dir}/../../../src/cli/tams.ts`, 'storage', 'cors', ...args]
    const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe', stdin: 'ignore', env: { ...process.env, ...env } })
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    return { code: await child.exited, stdout, stderr }
  }

  test('sets the rules of a bucket that refuses browsers', async () => {
    stub.cors = false
    expect(await cors(environment(), '--check')).toMatchObject({
      code: 1,
      stdout: 's3: refuses GET from https://browser.example to browsers\n',
    })
    expect(await cors(environment())).toMatchObject({ code: 0, stdout: 's3: browsers may use it from any origin\n' })
    expect(stub.cors).toBe(true)
  })

  test('succeeds on a server that has no rules and allows every origin', async () => {
    stub.fault = (operation) => (operation === 'PutBucketCors' ? 'forbidden' : undefined)
    const { code, stderr } = await cors(environment())
    expect([code, stderr]).toEqual([0, expect.stringContaining('AccessDenied')])
  })

  test('says that no bucket is configured', async () => {
    expect(await cors({ TAMS_DATA_DIR: folder })).toMatchObject({ code: 1, stderr: 'tams: no S3 storage backend is configured\n' })
  })
})

describe('the environment of S3', () => {
  const s3 = { S3_BUCKET_NAME: 'media' }

  test('needs no keys: the SDK looks for its own', () => {
    expect(readConfig(s3).s3).toMatchObject({ bucket: 'media', accessKeyId: undefined, secretAccessKey: undefined })
  })

  test.each([
    [{ ...s3, S3_ACCESS_KEY_ID: 'key' }, 'S3_SECRET_ACCESS_KEY: expected a value'],
    [{ S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'secret' }, 'S3_BUCKET_NAME: expected a value'],
    [{ ...s3, STORAGE_CONFIG: 'storage.json' }, 'S3_BUCKET_NAME: cannot come together with STORAGE_CONFIG'],
  ])('%p is refused', (env, message) => {
    expect(() => readConfig(env)).toThrow(message)
  })
})
