import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { systemClock } from '../../src/core/clock.ts'
import { createS3Store, type S3Store, type S3StoreOptions } from '../../src/storage/s3/index.ts'
import { isStorable } from '../../src/storage/s3/keys.ts'

export const s3Keys = { accessKeyId: 'tams-test-key', secretAccessKey: 'tams-test-secret-0123456789' }
export const s3Region = 'us-east-1'
export const s3StorageId = '7d0f2c1e-93aa-4c1c-8a35-1f6e0f6b8d11'

export interface S3Server {
  readonly name: string
  readonly endpoint: string
  stop(): Promise<void>
}

/** A real S3 server that this machine may have, and in what it differs from S3. */
export interface S3ServerKind {
  readonly name: string
  readonly program: string | undefined
  /** Keys that it holds and lists as S3 does. */
  takesKey(key: string): boolean
  readonly checksSignatures: boolean
  /** Of uploads by signed URLs. */
  readonly checksMd5: boolean
  readonly setsCors: boolean
  /** Does what `x-amz-server-side-encryption` asks for. */
  readonly encrypts: boolean
  /** Takes the metadata of an upload from its URL, as S3 does. */
  readonly keepsUrlMetadata: boolean
  start(): Promise<S3Server>
}

const find = (name: string): string | undefined =>
  Bun.which(name) ?? Bun.which(name, { PATH: path.join(process.env.GOPATH ?? path.join(homedir(), 'go'), 'bin') }) ?? undefined

const python = Bun.which('python3')
const hasMoto =
  python !== null && Bun.spawnSync([python, '-c', 'import moto.server, flask, flask_cors'], { stdout: 'ignore', stderr: 'ignore' }).success

/** No segment that a file system takes for something else, and none longer than a file name. */
const isPath = (key: string): boolean =>
  isStorable(key) && key.split('/').every((segment) => segment !== '' && Buffer.byteLength(segment) <= 255) && !key.includes('\0')

const kinds: readonly S3ServerKind[] = [
  {
    name: 'Versity Gateway',
    program: find('versitygw'),
    takesKey: isPath,
    checksSignatures: true,
    checksMd5: true,
    setsCors: true,
    encrypts: false,
    keepsUrlMetadata: false,
    start() {
      return launch(this, async (root, port) => {
        // The text of one path may not begin with that of the other.
        const [data, meta] = [path.join(root, 'data'), path.join(root, 'meta')]
        await mkdir(data)
        await mkdir(meta)
        return {
          args: ['--port', `127.0.0.1:${port}`, '--quiet', 'posix', '--sidecar', meta, data],
          env: { ROOT_ACCESS_KEY: s3Keys.accessKeyId, ROOT_SECRET_KEY: s3Keys.secretAccessKey },
        }
      })
    },
  },
  {
    name: 'MinIO',
    program: find('minio'),
    takesKey: (key) => isPath(key) && !key.includes('\\') && !/\p{Cc}/u.test(key),
    checksSignatures: true,
    checksMd5: true,
    setsCors: false,
    encrypts: true,
    keepsUrlMetadata: true,
    start() {
      return launch(this, async (root, port) => ({
        args: ['server', '--quiet', '--anonymous', '--address', `127.0.0.1:${port}`, path.join(root, 'data')],
        env: {
          MINIO_ROOT_USER: s3Keys.accessKeyId,
          MINIO_ROOT_PASSWORD: s3Keys.secretAccessKey,
          MINIO_BROWSER: 'off',
          MINIO_KMS_SECRET_KEY: `tams-test:${Buffer.alloc(32, 'k').toString('base64')}`,
        },
      }))
    },
  },
  {
    name: 'moto',
    program: hasMoto ? (python ?? undefined) : undefined,
    takesKey: (key) => isStorable(key) && !key.startsWith('/') && !key.includes('//') && !/\p{Cc}/u.test(key),
    checksSignatures: false,
    checksMd5: false,
    setsCors: true,
    encrypts: true,
    keepsUrlMetadata: true,
    start() {
      return launch(this, async (_root, port) => ({ args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], env: {} }))
    },
  },
]

/** Those that are there; the others are named once. */
export const s3Servers: readonly S3ServerKind[] = kinds.filter(({ name, program }) => {
  if (program === undefined) console.warn(`SKIPPED: what needs the S3 server ${name}, which is not installed (docs/STORAGE.md says how)`)
  return program !== undefined
})

const freePort = (): number => {
  const probe = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const { port } = probe
  probe.stop(true)
  return port ?? 0
}

interface Launch {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const launch = async ({ name, program }: S3ServerKind, prepare: (root: string, port: number) => Promise<Launch>): Promise<S3Server> => {
  if (program === undefined) throw new Error(`${name} is not installed`)
  const root = await mkdtemp(path.join(tmpdir(), 'tams-s3-'))
  const port = freePort()
  const { args, env } = await prepare(root, port)
  const child = Bun.spawn([program, ...args], {
    cwd: root,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    env: { ...process.env, ...env },
  })
  const endpoint = `http://127.0.0.1:${port}`
  const stop = async () => {
    child.kill('SIGKILL')
    await child.exited
    await rm(root, { recursive: true, force: true })
  }
  for (let tried = 0; !(await fetch(endpoint, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)); tried++) {
    if (child.exitCode === null && tried < 200) await Bun.sleep(100)
    else {
      await stop()
      throw new Error(`${name} did not start`)
    }
  }
  return { name, endpoint, stop }
}

let buckets = 0

/** For what the engine does not tell. */
export const s3Client = (endpoint: string): S3Client =>
  new S3Client({ endpoint, region: s3Region, forcePathStyle: true, credentials: s3Keys })

/** Makes a bucket that nobody has used. */
export const newBucket = async (endpoint: string): Promise<string> => {
  const client = s3Client(endpoint)
  const Bucket = `bucket-${++buckets}`
  await client.send(new CreateBucketCommand({ Bucket }))
  return Bucket
}

export const openS3Store = (endpoint: string, bucket: string, options: Partial<S3StoreOptions> = {}): Promise<S3Store> =>
  createS3Store({
    ...{ endpoint, bucket, ...s3Keys, region: s3Region, pathStyle: true, storageId: s3StorageId, clock: systemClock() },
    ...options,
  })
