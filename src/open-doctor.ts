import { randomBytes } from 'node:crypto'
import { access, constants, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { type Config, ConfigError, readConfig } from './config.ts'
import { type Clock, systemClock } from './core/clock.ts'
import { compare } from './core/predicate.ts'
import { inspectMedia, openMedia } from './open-media.ts'
import { openTables, RESTORE_DIRECTORY, SQLITE_FILE } from './open-stores.ts'
import type { MediaStore } from './storage/media.ts'
import { FROZEN_META } from './storage/schema.ts'
import { inspectSqlite, lookIntoSqlite } from './storage/sqlite/index.ts'
import type { Tables } from './storage/tables.ts'
import { openVastAdmin } from './vast-admin.ts'
import { probeMedia, probeTables } from './workers/probe.ts'

/** One thing that was looked at. */
export interface Diagnosis {
  readonly area: 'configuration' | 'data directory' | 'metadata' | 'media' | 'service' | 'speed'
  /** `error`: it does not work. `warning`: it works, and should be looked at. */
  readonly state: 'ok' | 'warning' | 'error'
  readonly message: string
  /** What to do; there unless all is well. */
  readonly advice?: string
}

type Environment = Readonly<Record<string, string | undefined>>

const ok = (area: Diagnosis['area'], message: string): Diagnosis => ({ area, state: 'ok', message })
const warning = (area: Diagnosis['area'], message: string, advice: string): Diagnosis => ({ area, state: 'warning', message, advice })
const failure = (area: Diagnosis['area'], message: string, advice: string): Diagnosis => ({ area, state: 'error', message, advice })

/** Looks at everything the environment names, in the order in which a service needs it, beside one that runs. Leaves nothing. */
export async function* examine(env: Environment): AsyncGenerator<Diagnosis> {
  let config: Config
  try {
    config = readConfig(env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) yield failure('configuration', problem, 'Set the variable as .env.example says, or leave it out')
    return
  }
  yield* examineConfig(config)
  const isReady = config.vast ? yield* examineCluster(config) : yield* examineFile(config)
  if (isReady) yield* examineStores(config)
}

function* examineConfig(config: Config): Generator<Diagnosis> {
  const set = config.variables.filter(({ origin }) => origin === 'environment').map(({ name }) => name)
  yield ok('configuration', set.length === 0 ? 'only defaults' : `set: ${set.join(', ')}`)
  if (config.insecure)
    yield warning(
      'configuration',
      'TAMS_INSECURE: everybody who reaches the service may do everything',
      'Use it on a network of your own only',
    )
  if (config.vast && !config.secretKey)
    yield warning(
      'configuration',
      'SECRET_KEY is not set',
      'Give all replicas the same, or each refuses the media URLs and tokens of the others',
    )
  if (config.trustProxy && config.publicBaseUrl === undefined)
    yield warning(
      'configuration',
      'TRUST_PROXY: whoever reaches the service directly may say where its URLs lead',
      'Set PUBLIC_BASE_URL too',
    )
}

/** True when there is a store to look into. */
async function* examineFile(config: Config): AsyncGenerator<Diagnosis, boolean> {
  const area = 'data directory'
  const { dataDir } = config
  if (!(await isThere(dataDir))) {
    yield warning(area, `${dataDir} is not there`, 'The first start of the service makes it; or correct TAMS_DATA_DIR')
    return false
  }
  const mayWrite = await access(dataDir, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!mayWrite) {
    yield failure(area, `${dataDir} cannot be written by this user`, 'Give it to the user of the service, or correct TAMS_DATA_DIR')
    return false
  }
  yield await roomIn(area, dataDir, config.minFreeSpace)
  if (await isThere(path.join(dataDir, RESTORE_DIRECTORY))) {
    yield failure(area, 'a restore into it has not ended', 'Run the same "tams restore" again')
    return false
  }
  const file = path.join(dataDir, SQLITE_FILE)
  if (!(await isThere(file))) {
    yield warning('metadata', `there is no store in ${dataDir} yet`, 'The first start of the service makes it')
    return false
  }
  try {
    const { missing, size, free } = lookIntoSqlite(file)
    const unused = free > size / 2 && free > 2 ** 30 ? `, ${megabytes(free)} of it unused` : ''
    yield ok('metadata', `SQLite, ${megabytes(size)}${unused}`)
    if (missing.length === 0) return true
    yield warning('metadata', `not there yet: ${missing.join(', ')}`, 'The next start of the service, or "tams tables create", makes them')
  } catch (error) {
    yield failure('metadata', `${file} cannot be read: ${messageOf(error)}`, 'Restore a backup: "tams restore"')
  }
  return false
}

async function* examineCluster(config: Config): AsyncGenerator<Diagnosis, boolean> {
  const { vast } = config
  if (!vast) return false
  try {
    const admin = await openVastAdmin(vast)
    try {
      const { tables, missing, foreign } = await admin.status()
      yield ok('metadata', `VAST at ${vast.endpoints.join(', ')}, ${tables.length} tables in ${vast.bucket}/${vast.schema}`)
      if (foreign.length > 0)
        yield failure('metadata', `tables that are not ours: ${foreign.join(', ')}`, 'Name a schema of its own with VAST_SCHEMA')
      const columns = tables.flatMap(({ table, missingColumns }) => missingColumns.map((column) => `${table}.${column}`))
      if (missing.length + columns.length > 0)
        yield warning('metadata', `not there yet: ${[...missing, ...columns].join(', ')}`, '"tams tables create" makes them')
      const projections = tables.flatMap((each) => each.projections.filter(({ wanted, present }) => wanted && !present))
      if (projections.length > 0)
        yield warning(
          'metadata',
          `projections missing: ${projections.map(({ name }) => name).join(', ')}`,
          '"tams tables projections enable"',
        )
      return missing.length + columns.length + foreign.length === 0
    } finally {
      admin.close()
    }
  } catch (error) {
    yield failure('metadata', messageOf(error), 'Put right what it names; docs/VAST.md has the settings')
    return false
  }
}

async function* examineStores(config: Config): AsyncGenerator<Diagnosis> {
  const clock = systemClock()
  let tables: Tables
  try {
    tables = (await openTables(config, clock)).tables
  } catch (error) {
    yield failure('metadata', messageOf(error), 'Put right what it names')
    return
  }
  try {
    yield await serviceOn(tables, clock)
    const frozen = await tables.read((tx) => tx.find('meta', [FROZEN_META]))
    if (frozen) yield warning('metadata', `the store takes no changes: ${frozen.value}`, '"tams migrate --release" gives it back')
    else yield* speedOfTables(tables, config)
    yield* examineMedia(config, tables, clock)
  } finally {
    await tables.close()
  }
}

const serviceOn = async (tables: Tables, clock: Clock): Promise<Diagnosis> => {
  const { rows } = await tables.read((tx) => tx.list('leases', { where: compare('expires', '>', clock.nowUs()), limit: 100 }))
  return ok('service', rows.length === 0 ? 'none is working on the store' : `at work: ${rows.map(({ name }) => name).join(', ')}`)
}

/** Slower ones make every request wait. */
const SLOW_READ_MS = { embedded: 5, cluster: 100 }
const SLOW_WRITE_MS = { embedded: 50, cluster: 500 }

async function* speedOfTables(tables: Tables, { vast }: Config): AsyncGenerator<Diagnosis> {
  const kind = vast ? 'cluster' : 'embedded'
  const { readMs, writeMs } = await probeTables(tables)
  const message = `a look-up takes ${readMs.toFixed(2)} ms, a durable write ${writeMs.toFixed(2)} ms`
  const isSlow = readMs > SLOW_READ_MS[kind] || writeMs > SLOW_WRITE_MS[kind]
  if (!isSlow) yield ok('speed', message)
  else
    yield warning(
      'speed',
      message,
      vast
        ? 'Look at the way to the cluster, and at its load'
        : 'Put TAMS_DATA_DIR on a local SSD: each write waits until it is on the disk',
    )
}

async function* examineMedia(config: Config, tables: Tables, clock: Clock): AsyncGenerator<Diagnosis> {
  // It signs URLs, and none are made here.
  const { backends, s3, served } = await openMedia(config, tables, clock, randomBytes(32).toString('base64url'))
  for (const { info, store } of backends) {
    const name = info.label ?? info.id
    try {
      await store.check(AbortSignal.timeout(10_000))
    } catch (error) {
      yield failure('media', `${name}: ${messageOf(error)}`, 'Put right what it names; docs/STORAGE.md has the settings')
      continue
    }
    const bucket = s3.find((each) => each.store === store)
    if (bucket) yield* inspected(bucket, config)
    yield* speedOfMedia(name, store)
  }
  if (served.length > 0) yield await roomIn('media', config.dataDir, config.minFreeSpace)
}

async function* inspected(bucket: Parameters<typeof inspectMedia>[0][number], { corsOrigins }: Config): AsyncGenerator<Diagnosis> {
  const found: Diagnosis[] = []
  const name = bucket.info.label ?? bucket.info.id
  await inspectMedia([bucket], corsOrigins, (_, { severity, message }) => {
    const told = `${name}: ${message}`
    if (severity === 'info') found.push(ok('media', told))
    else
      found.push((severity === 'error' ? failure : warning)('media', told, 'docs/STORAGE.md, "What is looked at when the service starts"'))
  }).catch(() => undefined)
  yield* found
}

async function* speedOfMedia(name: string, store: MediaStore): AsyncGenerator<Diagnosis> {
  try {
    const { write, read } = await probeMedia(store)
    yield ok('media', `${name}: an object was put, read and deleted, at ${megabytes(write)}/s and ${megabytes(read)}/s`)
  } catch (error) {
    yield failure('media', `${name}: ${messageOf(error)}`, 'Uploads fail like that; put right what it names')
  }
}

const roomIn = async (area: Diagnosis['area'], directory: string, minimum: number): Promise<Diagnosis> => {
  const { bavail, bsize } = await statfs(directory)
  const free = bavail * bsize
  const message = `${megabytes(free)} free on the disk of ${directory}`
  if (free < minimum) return failure(area, message, `Writes are refused below MIN_FREE_SPACE, ${megabytes(minimum)}: make room`)
  return free < minimum * 10 ? warning(area, message, 'Make room before writes are refused (MIN_FREE_SPACE)') : ok(area, message)
}

/** Damage of the file of the embedded store; empty elsewhere. Reads all of it. */
export const damageOf = (env: Environment): readonly string[] => {
  const config = readConfig(env)
  return config.vast ? [] : inspectSqlite(path.join(config.dataDir, SQLITE_FILE))
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
