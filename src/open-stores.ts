import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from './config.ts'
import { type Clock, systemClock } from './core/clock.ts'
import type { DatabaseEndpoint } from './domain/deps.ts'
import type { StorageBackend } from './domain/storage-backend.ts'
import { inspectMedia, type Media, openMedia } from './open-media.ts'
import { openVast, type WarningLog } from './open-vast.ts'
import { createSpaceCheck } from './storage/disk/index.ts'
import type { Finding, S3ClientOptions } from './storage/s3/index.ts'
import { FROZEN_META } from './storage/schema.ts'
import { openSqliteTables } from './storage/sqlite/index.ts'
import type { Tables } from './storage/tables.ts'
import type { OpenVastOptions } from './storage/vast/index.ts'
import { isHalfMigrated } from './workers/migration/index.ts'

export interface Stores extends Media {
  readonly tables: Tables
  readonly clock: Clock
  /** Absent where the metadata store is not reached over a network. */
  readonly databaseEndpoints?: () => readonly DatabaseEndpoint[]
  /** Nobody else serves these stores while they are open. */
  readonly servedAlone: boolean
  /** Rejects with `storage_full` while writes are to be refused. Absent where the metadata lie on no disk of ours. */
  readonly checkSpace?: () => Promise<void>
  close(): Promise<void>
}

export interface OpenOptions {
  /** This process is the one that serves the stores; a second one is refused, and the buckets are looked at. */
  readonly serving?: boolean
  /** Something about a backend that the operator should know. */
  readonly onFinding?: (backend: StorageBackend, finding: Finding) => void
  /** Told how the servers of the stores answer, for statistics. */
  readonly observer?: StoreObserver
  /** Something went wrong in the metadata store without being a caller's answer. */
  readonly onWarning?: WarningLog
}

export interface StoreObserver {
  readonly vastRequest: NonNullable<OpenVastOptions['onAnswer']>
  readonly s3Operation: NonNullable<S3ClientOptions['onOperation']>
}

export const SQLITE_FILE = 'tams.sqlite'
/** In the data directory while a backup is being restored into it. */
export const RESTORE_DIRECTORY = 'restore.partial'

/** The stores that the configuration names. Only this file, `open-vast.ts` and `open-media.ts` know the engines. */
export const openStores = async (
  config: Config,
  { serving = false, onFinding = () => {}, onWarning, observer }: OpenOptions = {},
): Promise<Stores> => {
  await mkdir(config.dataDir, { recursive: true })
  const clock = systemClock()
  const secret = config.secretKey ?? (await persistedSecret(config.dataDir))
  const { tables, ...reached } = await openTables(config, clock, {
    serving,
    ...(onWarning && { onWarning }),
    ...(observer && { observer }),
  })
  try {
    if (serving) await refuseMigrating(tables)
    const media = await openMedia(config, tables, clock, secret, observer?.s3Operation)
    if (serving) await inspectMedia(media.s3, config.corsOrigins, onFinding)
    await publishBackends(
      tables,
      media.backends.map(({ info }) => info),
    )
    return {
      ...media,
      ...reached,
      ...(!config.vast && { checkSpace: spaceCheck(config) }),
      servedAlone: serving && !config.vast,
      tables,
      clock,
      close: () => tables.close(),
    }
  } catch (error) {
    await tables.close()
    throw error
  }
}

const spaceCheck = ({ dataDir, minFreeSpace }: Config): (() => Promise<void>) =>
  createSpaceCheck({
    directory: dataDir,
    lowWaterBytes: minFreeSpace,
    refusal: 'The store takes no more changes: its disk is nearly full. Reads and deletions go on',
  })

/** The metadata store alone, for commands that need nothing else. Tables that are missing are made. */
export const openTables = async (
  config: Config,
  clock: Clock,
  { serving = false, onWarning, observer }: Pick<OpenOptions, 'serving' | 'onWarning' | 'observer'> = {},
): Promise<Pick<Stores, 'tables' | 'databaseEndpoints'>> => {
  if (!config.vast) {
    await mkdir(config.dataDir, { recursive: true })
    await refuseRestoring(config.dataDir)
    return { tables: await openSqliteTables({ file: path.join(config.dataDir, SQLITE_FILE), clock, exclusive: serving }) }
  }
  const tables = await openVast(config.vast, clock, onWarning, observer?.vastRequest)
  return { tables, databaseEndpoints: () => tables.health() }
}

const refuseRestoring = async (dataDir: string): Promise<void> => {
  const isRestoring = await stat(path.join(dataDir, RESTORE_DIRECTORY)).then(
    () => true,
    () => false,
  )
  if (isRestoring) throw new Error(`TAMS_DATA_DIR: a restore into ${dataDir} has not ended: run the same "tams restore" again`)
}

const refuseMigrating = async (tables: Tables): Promise<void> => {
  if (await isHalfMigrated(tables))
    throw new Error('The store is the target of a migration that has not ended: run "tams migrate" again until it does')
  const frozen = await tables.read((tx) => tx.find('meta', [FROZEN_META]))
  if (frozen)
    throw new Error(`The store takes no changes. ${frozen.value}. Serve the other store; "tams migrate --release" gives this one back`)
}

export const SECRET_FILE = 'secret.key'

/**
 * Made at the first start. It appears under its name whole and synced or not at all, and of two processes that start at once both
 * take the one that was there first.
 */
const persistedSecret = async (dataDir: string): Promise<string> => {
  const file = path.join(dataDir, SECRET_FILE)
  const temporary = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`
  const kept = await readSecret(file)
  if (kept !== undefined) return kept
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(randomBytes(32).toString('base64url'))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await link(temporary, file).catch((error: unknown) => {
      if (!isCode(error, 'EEXIST')) throw error
    })
    const directory = await open(dataDir, 'r')
    await directory.sync().finally(() => directory.close())
  } finally {
    await rm(temporary, { force: true })
  }
  const made = await readSecret(file)
  if (made === undefined) throw new Error(`${file}: could not be made`)
  return made
}

const readSecret = async (file: string): Promise<string | undefined> => {
  try {
    const secret = (await readFile(file, 'utf8')).trim()
    if (secret.length >= 32) return secret
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
  throw new Error(`${file}: holds no secret of at least 32 characters; remove it to have a new one made`)
}

const isCode = (error: unknown, code: string): boolean => error instanceof Error && 'code' in error && error.code === code

/** For readers of the store that do not know this configuration: analytics, other tools. */
const publishBackends = (tables: Tables, infos: readonly StorageBackend[]): Promise<void> =>
  tables.write(async (tx) => {
    for (const info of infos) {
      const row = {
        id: info.id,
        label: info.label ?? null,
        store_type: info.store_type,
        provider: info.provider,
        region: info.region ?? null,
        availability_zone: info.availability_zone ?? null,
        store_product: info.store_product,
        default_storage: info.default_storage ?? false,
        tags: JSON.stringify(info.tags ?? {}),
      }
      const known = await tx.find('storage_backends', [info.id])
      if (JSON.stringify(known) !== JSON.stringify(row)) await tx.put('storage_backends', [row])
    }
  })
