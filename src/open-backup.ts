import { randomBytes } from 'node:crypto'
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from './config.ts'
import { systemClock } from './core/clock.ts'
import { diskRoots, embeddedRoot } from './open-media.ts'
import { RESTORE_DIRECTORY, SECRET_FILE, SQLITE_FILE } from './open-stores.ts'
import { createCloner, createDiskStore } from './storage/disk/index.ts'
import { SCHEMA_VERSION } from './storage/schema-version.ts'
import { copySqlite, inspectSqlite, openSqliteTables } from './storage/sqlite/index.ts'
import type { Tables } from './storage/tables.ts'
import { type Brought, type Place, runBackup, verifyPlace } from './workers/backup/index.ts'

/**
 * A backup is a directory: `tams.sqlite`, `media/{storage backend}`, the secret of the service, and `backup.json`, which says what there
 * has to be. It gets its name when it is whole; until then it is `{name}.partial`, and the same command goes on with that.
 */
export interface Manifest {
  readonly format: 1
  readonly made: string
  readonly schema_version: number
  readonly media: readonly (Brought & { readonly storage_id: string })[]
  /** Records of bytes that are not in the backup: in S3. */
  readonly elsewhere: readonly { readonly storage_id: string; readonly records: number }[]
}

const MANIFEST_FILE = 'backup.json'
const MEDIA_DIRECTORY = 'media'

export interface BackupRun {
  /** Hard links where source and target are on one file system. */
  readonly link: boolean
  /** Reads all bytes of the result. */
  readonly verify: boolean
  readonly signal?: AbortSignal
  readonly onStep?: (message: string) => void
}

/** Throws for a store that is not the embedded one, and a target that is there. A service may go on meanwhile. */
export const backUp = async (config: Config, target: string, run: BackupRun): Promise<Manifest> => {
  refuseCluster(config)
  const file = path.join(config.dataDir, SQLITE_FILE)
  if (!(await isThere(file))) throw new Error(`TAMS_DATA_DIR: there is no embedded store in ${config.dataDir}`)
  const whole = path.resolve(target)
  if ((await entriesOf(whole)).length > 0) throw new Error(`${whole} is there already, and not empty`)
  const partial = `${whole}.partial`
  await mkdir(path.join(partial, MEDIA_DIRECTORY), { recursive: true })
  await chmod(partial, 0o700)
  const index = path.join(partial, SQLITE_FILE)
  const live = await openSqliteTables({ file, maintenance: true })
  let copy: Tables | undefined
  try {
    const places = await Promise.all(
      (await diskRoots(config, live)).map(({ id, root }) => openPlace(id, root, path.join(partial, MEDIA_DIRECTORY, id), run.link)),
    )
    const snapshot = async () => {
      await copy?.close()
      copy = undefined
      await removeSqlite(index)
      await copySqlite(file, index)
      copy = await openSqliteTables({ file: index, maintenance: true })
      return copy
    }
    const onRound = (round: number) => run.onStep?.(round === 1 ? 'Copying index and media' : 'Objects were deleted meanwhile: once more')
    const { media, elsewhere } = await runBackup({ live, places, snapshot }, { ...run, onRound })
    await copy?.close()
    copy = undefined
    refuseBroken(index, run.verify)
    await copySecret(config.dataDir, partial)
    const manifest: Manifest = {
      format: 1,
      made: new Date().toISOString(),
      schema_version: SCHEMA_VERSION,
      media: Array.from(media, ([storage_id, brought]) => ({ storage_id, ...brought })),
      elsewhere: Array.from(elsewhere, ([storage_id, records]) => ({ storage_id, records })),
    }
    await writeFile(path.join(partial, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`, { flush: true })
    await syncDirectory(partial)
    await rename(partial, whole)
    await syncDirectory(path.dirname(whole))
    return manifest
  } finally {
    await copy?.close()
    await live.close()
  }
}

/** Throws for a data directory that holds anything but what a broken-off run of the same left, and for a backup that is not whole. */
export const restoreBackup = async (config: Config, source: string, run: BackupRun): Promise<Manifest> => {
  refuseCluster(config)
  const from = path.resolve(source)
  const manifest = await readManifest(from)
  const dataDir = path.resolve(config.dataDir)
  const work = path.join(dataDir, RESTORE_DIRECTORY)
  const entries = await entriesOf(dataDir)
  const goesOn = entries.includes(RESTORE_DIRECTORY)
  if (entries.length > 0 && !goesOn) throw new Error(`TAMS_DATA_DIR: ${dataDir} is not empty; restore into a new directory`)
  await mkdir(work, { recursive: true })
  const index = path.join(work, SQLITE_FILE)
  await removeSqlite(index)
  await copyFile(path.join(from, SQLITE_FILE), index)
  refuseBroken(index, run.verify)
  const tables = await openSqliteTables({ file: index, maintenance: true })
  try {
    const roots = new Map((await diskRoots(config, tables)).map(({ id, root }) => [id, root]))
    run.onStep?.('Copying media')
    for (const { storage_id, ...brought } of manifest.media) {
      const root = roots.get(storage_id)
      if (root === undefined) throw new Error(`STORAGE_CONFIG: names no directory for the storage backend ${storage_id} of the backup`)
      // The embedded media come with the index, at the end; others are where they belong at once, unseen until then.
      const to = root === embeddedRoot(config.dataDir) && !(await isThere(root)) ? path.join(work, MEDIA_DIRECTORY) : root
      const place = await openPlace(storage_id, path.join(from, MEDIA_DIRECTORY, storage_id), to, run.link)
      if (!goesOn && to === root) await refuseFilled(place, root)
      await runBackup(
        { live: tables, places: [place], snapshot: async () => tables },
        { verify: false, ...(run.signal && { signal: run.signal }) },
      )
      await verifyPlace(tables, place, brought, { bytes: run.verify, signal: run.signal })
    }
  } finally {
    await tables.close()
  }
  await copySecret(from, work)
  await putInPlace(work, dataDir)
  return manifest
}

/** The index last: with it the store is there. */
const putInPlace = async (work: string, dataDir: string): Promise<void> => {
  for (const name of [MEDIA_DIRECTORY, SECRET_FILE, SQLITE_FILE]) {
    if (!(await isThere(path.join(work, name)))) continue
    await syncPath(path.join(work, name))
    await rename(path.join(work, name), path.join(dataDir, name))
    await syncDirectory(dataDir)
  }
  await rm(work, { recursive: true })
  await syncDirectory(dataDir)
}

const openPlace = async (storageId: string, from: string, to: string, link: boolean): Promise<Place> => {
  // It signs URLs, and none are made here.
  const secret = randomBytes(32).toString('base64url')
  const store = await createDiskStore({ root: to, storageId, secret, clock: systemClock() })
  return { storageId, to: store, clone: createCloner({ from, to, link }) }
}

const refuseCluster = ({ vast }: Config): void => {
  if (vast) throw new Error('VAST_ENDPOINT: the metadata are on a cluster, which has backups of its own; this is for the embedded store')
}

const refuseFilled = async ({ to }: Place, root: string): Promise<void> => {
  for await (const { key } of to.list({}))
    throw new Error(`STORAGE_CONFIG: ${root} holds media already (${key}); restore into an empty one`)
}

const refuseBroken = (file: string, thorough: boolean): void => {
  const [problem] = inspectSqlite(file, { thorough })
  if (problem !== undefined) throw new Error(`${file} is damaged: ${problem}`)
}

const readManifest = async (directory: string): Promise<Manifest> => {
  const file = path.join(directory, MANIFEST_FILE)
  if (!(await isThere(file))) throw new Error(`${directory} is no finished backup: it has no ${MANIFEST_FILE}`)
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  if (manifest.format !== 1) throw new Error(`${file} is of a newer program: its format is ${manifest.format}`)
  return manifest
}

const copySecret = async (from: string, to: string): Promise<void> => {
  // Given by SECRET_KEY it is nowhere on the disk.
  if (!(await isThere(path.join(from, SECRET_FILE)))) return
  await copyFile(path.join(from, SECRET_FILE), path.join(to, SECRET_FILE))
  await chmod(path.join(to, SECRET_FILE), 0o600)
  await syncPath(path.join(to, SECRET_FILE))
}

const removeSqlite = async (file: string): Promise<void> => {
  for (const suffix of ['', '-wal', '-shm', '-journal']) await rm(`${file}${suffix}`, { force: true })
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )

const entriesOf = async (directory: string): Promise<readonly string[]> => ((await isThere(directory)) ? readdir(directory) : [])

const syncPath = async (file: string): Promise<void> => {
  const handle = await open(file, 'r')
  await handle.sync().finally(() => handle.close())
}
const syncDirectory = syncPath
