import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from './config.ts'
import { type Clock, systemClock } from './core/clock.ts'
import { eq } from './core/predicate.ts'
import { isUuid } from './core/uuid.ts'
import type { MediaBackend, StorageBackend } from './domain/storage-backend.ts'
import { createDiskStore, type DiskStore } from './storage/disk/index.ts'
import { openSqliteTables } from './storage/sqlite/index.ts'
import type { Tables } from './storage/tables.ts'
import { type BackendSettings, readStorageConfig } from './storage-config.ts'

export interface Stores {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
  /** Those of the backends whose bytes this program serves itself. */
  readonly served: readonly DiskStore[]
  readonly clock: Clock
  close(): Promise<void>
}

/** Below this much free space uploads are refused and reads go on. */
const LOW_WATER_BYTES = 64 * 1024 * 1024

/**
 * The stores that the configuration names, the only place that knows the engines. `serving`: this process is the one that serves
 * them; a second one is refused.
 */
export const openStores = async (config: Config, options: { readonly serving?: boolean } = {}): Promise<Stores> => {
  refuseMissingEngines(config)
  await mkdir(config.dataDir, { recursive: true })
  const clock = systemClock()
  const secret = config.secretKey ?? (await persistedSecret(config.dataDir))
  const tables = await openSqliteTables({ file: path.join(config.dataDir, 'tams.sqlite'), clock, exclusive: options.serving ?? false })
  try {
    const settings = config.storageConfigFile
      ? await readStorageConfig(config.storageConfigFile)
      : [await embeddedBackend(tables, config.dataDir)]
    const infos = withDefault(
      settings.map(({ info }) => info),
      config.defaultStorageBackendId,
    )
    const served = await Promise.all(
      settings.map(({ info, root }) =>
        createDiskStore({
          root: path.resolve(config.dataDir, root),
          storageId: info.id,
          secret,
          clock,
          lowWaterBytes: LOW_WATER_BYTES,
          publicBaseUrl: config.mediaPublicBaseUrl,
        }),
      ),
    )
    const backends = infos.flatMap((info, index) => (served[index] ? [{ info, store: served[index] }] : []))
    await publishBackends(tables, infos)
    return { tables, backends, served, clock, close: () => tables.close() }
  } catch (error) {
    await tables.close()
    throw error
  }
}

// Taking the embedded stores instead would put data where nobody looks for it.
const refuseMissingEngines = (config: Config): void => {
  if (config.vast) throw new Error('VAST_ENDPOINT: this version has no VAST Database engine; leave it unset for the embedded store')
  if (config.s3) throw new Error('S3_BUCKET_NAME: this version has no S3 engine; leave it unset for the embedded store')
}

const SECRET_FILE = 'secret.key'

/** Made at the first start: two processes that start at once agree on what the first one wrote. */
const persistedSecret = async (dataDir: string): Promise<string> => {
  const file = path.join(dataDir, SECRET_FILE)
  const made = randomBytes(32).toString('base64url')
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await handle.writeFile(made)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return made
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    const kept = (await readFile(file, 'utf8')).trim()
    if (kept.length < 32)
      throw new Error(`${file}: holds no secret of at least 32 characters; remove it to have a new one made`, { cause: error })
    return kept
  }
}

const EMBEDDED_ID = 'embedded_storage_id'

/** The one backend of the default configuration; its id is made once and kept in the store. */
const embeddedBackend = async (tables: Tables, dataDir: string): Promise<BackendSettings> => {
  const id = await tables.write(async (tx) => {
    await tx.lock([`meta:${EMBEDDED_ID}`])
    const row = await tx.find('meta', [EMBEDDED_ID])
    if (row && isUuid(row.value)) return row.value
    const value = randomUUID()
    await tx.put('meta', [{ name: EMBEDDED_ID, value }])
    return value
  })
  const info: StorageBackend = {
    id,
    label: 'embedded',
    store_type: 'http_object_store',
    provider: 'vast-tams',
    store_product: 'embedded',
    default_storage: true,
    tags: {},
  }
  return { info, root: path.join(path.resolve(dataDir), 'media') }
}

const withDefault = (infos: readonly StorageBackend[], defaultId: string | undefined): StorageBackend[] => {
  if (defaultId === undefined) return [...infos]
  if (!infos.some((info) => info.id === defaultId)) throw new Error(`DEFAULT_STORAGE_BACKEND_ID: there is no storage backend ${defaultId}`)
  return infos.map((info) => ({ ...info, default_storage: info.id === defaultId }))
}

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
      if (JSON.stringify(known) === JSON.stringify(row)) continue
      if (known) await tx.delete('storage_backends', eq('id', info.id))
      await tx.insert('storage_backends', [row])
    }
  })
