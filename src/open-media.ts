import { randomUUID } from 'node:crypto'
import path from 'node:path'
import type { Config, S3Config } from './config.ts'
import type { Clock } from './core/clock.ts'
import { isUuid } from './core/uuid.ts'
import type { MediaBackend, StorageBackend } from './domain/storage-backend.ts'
import { createDiskStore, type DiskStore } from './storage/disk/index.ts'
import { createS3Store, type Finding, type S3ClientOptions, type S3Store } from './storage/s3/index.ts'
import type { Tables } from './storage/tables.ts'
import { type BackendSettings, type DiskSettings, isAws, readStorageConfig, type S3Settings } from './storage-config.ts'

export interface Media {
  readonly backends: readonly MediaBackend[]
  /** Those of the backends whose bytes this program serves itself. */
  readonly served: readonly DiskStore[]
  readonly s3: readonly S3Backend[]
}

export interface S3Backend {
  readonly info: StorageBackend
  readonly store: S3Store
}

/** A service starts while its S3 is away. */
const INSPECTION_LIMIT_MS = 15_000

/** The media engines that the configuration names. `secret` signs the URLs of what this program serves. */
export const openMedia = async (
  config: Config,
  tables: Tables,
  clock: Clock,
  secret: string,
  onOperation?: S3ClientOptions['onOperation'],
): Promise<Media> => {
  const settings = await backendSettings(config, tables)
  const infos = withDefault(
    settings.map(({ info }) => info),
    config.defaultStorageBackendId,
  )
  const backends: MediaBackend[] = []
  const served: DiskStore[] = []
  const s3: S3Backend[] = []
  for (const [index, each] of settings.entries()) {
    const info = infos[index] ?? each.info
    if (each.type === 's3') {
      const store = await openS3(each, clock, onOperation)
      s3.push({ info, store })
      backends.push({ info, store })
    } else {
      const store = await createDiskStore({
        root: path.resolve(config.dataDir, each.root),
        storageId: info.id,
        secret,
        clock,
        lowWaterBytes: config.minFreeSpace,
        // The one of the environment is S3's where the environment names S3.
        publicBaseUrl: config.s3 ? undefined : config.mediaPublicBaseUrl,
      })
      served.push(store)
      backends.push({ info, store })
    }
  }
  return { backends, served, s3 }
}

/** The S3 backends alone, for commands that need nothing else. */
export const openS3Backends = async (config: Config, clock: Clock): Promise<readonly S3Backend[]> => {
  const settings = config.storageConfigFile
    ? await readStorageConfig(config.storageConfigFile)
    : config.s3
      ? [environmentBackend(config.s3, randomUUID(), config)]
      : []
  return Promise.all(
    settings.flatMap((each) => (each.type === 's3' ? [openS3(each, clock).then((store) => ({ info: each.info, store }))] : [])),
  )
}

/** Where the files of the disk backends lie, by absolute path. */
export const diskRoots = async (config: Config, tables: Tables): Promise<readonly { readonly id: string; readonly root: string }[]> =>
  (await backendSettings(config, tables)).flatMap((each) =>
    each.type === 'disk' ? [{ id: each.info.id, root: path.resolve(config.dataDir, each.root) }] : [],
  )

/** Tells what was found out about the buckets. Throws when one of them cannot be used as it is configured. */
export const inspectMedia = async (
  s3: readonly S3Backend[],
  origins: '*' | readonly string[],
  onFinding: (backend: StorageBackend, finding: Finding) => void,
): Promise<void> => {
  for (const { info, store } of s3) {
    const findings = await inspectInTime(store, origins)
    for (const finding of findings) onFinding(info, finding)
    const broken = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message)
    if (broken.length > 0) throw new Error(`Storage backend ${info.label ?? info.id} cannot be used: ${broken.join('; ')}`)
  }
}

const inspectInTime = async (store: S3Store, origins: '*' | readonly string[]): Promise<readonly Finding[]> => {
  const limit = AbortSignal.timeout(INSPECTION_LIMIT_MS)
  try {
    return await store.inspect(origins, limit)
  } catch (error) {
    if (!limit.aborted) throw error
    return [{ check: 'bucket', severity: 'warning', message: `The S3 service did not answer within ${INSPECTION_LIMIT_MS / 1000} s` }]
  }
}

const openS3 = ({ info, s3 }: S3Settings, clock: Clock, onOperation?: S3ClientOptions['onOperation']): Promise<S3Store> =>
  createS3Store({ ...s3, storageId: info.id, clock, onOperation })

const backendSettings = async (config: Config, tables: Tables): Promise<readonly BackendSettings[]> => {
  if (config.storageConfigFile) return readStorageConfig(config.storageConfigFile)
  if (!config.s3) return [embeddedBackend(await keptId(tables, EMBEDDED_ID), config.dataDir)]
  const id = await keptId(tables, `${S3_ID}${config.s3.endpointUrl} ${config.s3.bucket}`)
  const backend = environmentBackend(config.s3, id, config)
  // A store that began on one machine goes on showing what it holds there.
  const former = await tables.read((tx) => tx.find('meta', [EMBEDDED_ID]))
  if (!former) return [backend]
  const embedded = embeddedBackend(former.value, config.dataDir)
  return [backend, { ...embedded, info: { ...embedded.info, default_storage: false } }]
}

/** Rows of `meta` that name backends which no file names. */
export const EMBEDDED_ID = 'embedded_storage_id'
export const S3_ID = 's3_storage_id '

/** The id of a backend that no file names: made once and kept in the store. */
const keptId = async (tables: Tables, name: string): Promise<string> => {
  // Without a write, so that a store that takes no changes can be opened.
  const known = await tables.read((tx) => tx.find('meta', [name]))
  if (known && isUuid(known.value)) return known.value
  return tables.write(async (tx) => {
    await tx.lock([`meta:${name}`])
    const row = await tx.find('meta', [name])
    if (row && isUuid(row.value)) return row.value
    const value = randomUUID()
    await tx.put('meta', [{ name, value }])
    return value
  })
}

export const embeddedRoot = (dataDir: string): string => path.join(path.resolve(dataDir), 'media')

const embeddedBackend = (id: string, dataDir: string): DiskSettings => {
  const info: StorageBackend = {
    id,
    label: 'embedded',
    store_type: 'http_object_store',
    provider: 'vast-tams',
    store_product: 'embedded',
    default_storage: true,
    tags: {},
  }
  return { type: 'disk', info, root: embeddedRoot(dataDir) }
}

const environmentBackend = (s3: S3Config, id: string, { mediaPublicBaseUrl }: Config): S3Settings => {
  const { endpointUrl: endpoint, accessKeyId, secretAccessKey, bucket, region, serverSideEncryption } = s3
  const aws = isAws(endpoint)
  const info: StorageBackend = {
    id,
    label: 's3',
    store_type: 'http_object_store',
    provider: aws ? 'AWS' : 'S3',
    store_product: aws ? 'S3' : 'S3 compatible',
    default_storage: true,
    tags: {},
    ...(aws && { region }),
  }
  const options = { endpoint, accessKeyId, secretAccessKey, bucket, region, serverSideEncryption, pathStyle: !aws }
  return { type: 's3', info, s3: { ...options, publicBaseUrl: mediaPublicBaseUrl } }
}

const withDefault = (infos: readonly StorageBackend[], defaultId: string | undefined): StorageBackend[] => {
  if (defaultId === undefined) return [...infos]
  if (!infos.some((info) => info.id === defaultId)) throw new Error(`DEFAULT_STORAGE_BACKEND_ID: there is no storage backend ${defaultId}`)
  return infos.map((info) => ({ ...info, default_storage: info.id === defaultId }))
}
