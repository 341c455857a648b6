import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from './config.ts'
import { systemClock } from './core/clock.ts'
import { eq, everything } from './core/predicate.ts'
import type { MediaBackend } from './domain/storage-backend.ts'
import { EMBEDDED_ID, embeddedRoot, openMedia, S3_ID } from './open-media.ts'
import { openTables, SQLITE_FILE } from './open-stores.ts'
import { createDiskStore } from './storage/disk/index.ts'
import { openSqliteTables } from './storage/sqlite/index.ts'
import type { Tables } from './storage/tables.ts'
import type { MigrationDeps } from './workers/migration/index.ts'

export interface OpenMigration extends MigrationDeps {
  /** Where the bytes go; undefined: they stay. */
  readonly into: MediaBackend | undefined
  close(): Promise<void>
}

/** The embedded store of the data directory, opened to look after it: it is written even when it is frozen. */
export const openEmbedded = async ({ dataDir }: Config): Promise<Tables> => {
  const file = path.join(dataDir, SQLITE_FILE)
  const there = await stat(file).then(
    () => true,
    () => false,
  )
  if (!there) throw new Error(`TAMS_DATA_DIR: there is no embedded store in ${dataDir}`)
  return openSqliteTables({ file, maintenance: true })
}

/** From the embedded store in the data directory to the stores that the configuration names. */
export const openMigration = async (config: Config): Promise<OpenMigration> => {
  if (!config.vast) throw new Error('VAST_ENDPOINT: names no cluster to migrate to')
  const clock = systemClock()
  const source = await openEmbedded(config)
  const opened = [source]
  const close = async () => {
    for (const tables of opened.toReversed()) await tables.close()
  }
  try {
    const { tables: target } = await openTables(config, clock)
    opened.push(target)
    // It signs URLs, and none are made here.
    const secret = randomBytes(32).toString('base64url')
    await bringIds(source, target, config)
    const { backends } = await openMedia(config, target, clock, secret)
    await refuseUnknown(source, backends)
    const id = await embeddedId(source)
    const into =
      id === undefined || backends.some(({ info }) => info.id === id) ? undefined : backends.find(({ info }) => info.default_storage)
    const from = id && (await createDiskStore({ root: embeddedRoot(config.dataDir), storageId: id, secret, clock }))
    return { source, target, clock, into, move: into && from ? { from, to: into.store } : undefined, close }
  } catch (error) {
    await close()
    throw error
  }
}

const embeddedId = async (source: Tables): Promise<string | undefined> => (await source.read((tx) => tx.find('meta', [EMBEDDED_ID])))?.value

/** Backends that both stores use keep their ids; that of the data directory only where it goes on being one. */
const bringIds = async (source: Tables, target: Tables, config: Config): Promise<void> => {
  const staysOnDisk = !config.s3 && !config.storageConfigFile
  const { rows } = await source.read((tx) => tx.list('meta', { where: everything, limit: 10_000 }))
  for (const row of rows.filter(({ name }) => name.startsWith(S3_ID) || (staysOnDisk && name === EMBEDDED_ID)))
    await target.write(async (tx) => {
      await tx.lock([`meta:${row.name}`])
      if (!(await tx.find('meta', [row.name]))) await tx.insert('meta', [row])
    })
}

const refuseUnknown = async (source: Tables, backends: readonly MediaBackend[]): Promise<void> => {
  const embedded = await embeddedId(source)
  const { rows } = await source.read((tx) => tx.list('storage_backends', { where: everything, limit: 10_000 }))
  for (const { id, label } of rows.filter((row) => row.id !== embedded && !backends.some(({ info }) => info.id === row.id))) {
    const used = await source.read((tx) => tx.count('object_instances', eq('storage_id', id), { atMost: 1 }))
    if (used > 0)
      throw new Error(`STORAGE_CONFIG: objects lie in the storage backend ${label ?? id} (${id}), which the configuration does not name`)
  }
}
