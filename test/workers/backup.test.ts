import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { readConfig } from '../../src/config.ts'
import { eq } from '../../src/core/predicate.ts'
import { type BackupRun, backUp, restoreBackup } from '../../src/open-backup.ts'
import { openStores, RESTORE_DIRECTORY } from '../../src/open-stores.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { type Place, runBackup } from '../../src/workers/backup/index.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { openApp, primaryStorage, secondaryStorage, standardBackends, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { engineUnderTest } from '../support/engines.ts'
import { allocate, allocateOne, createFlow, expectStatus, postSegment } from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

const onSqlite = describe.if(engineUnderTest() === 'sqlite')

let app: TestApp
/** Where the next segment begins, in seconds. */
let start: number
beforeEach(async () => {
  start = 0
  app = await openApp()
})
afterEach(() => app.close())

/** The app's files lie as those of a service whose backends are in two directories. */
const configOf = async (dataDir: string) => {
  const file = path.join(app.directory, 'storage.json')
  const backends = standardBackends.map(({ store_type: _, ...info }) => ({ ...info, type: 'disk', root: path.join('media', info.id) }))
  await writeFile(file, JSON.stringify({ backends }))
  return readConfig({ TAMS_DATA_DIR: dataDir, STORAGE_CONFIG: file })
}
const below = (...names: readonly string[]) => path.join(app.directory, ...names)
const back = async (name: string, run: Partial<BackupRun> = {}) =>
  backUp(await configOf(app.directory), below(name), { link: false, verify: true, ...run })
const bring = async (name: string, to: string, run: Partial<BackupRun> = {}) =>
  restoreBackup(await configOf(below(to)), below(name), { link: false, verify: true, ...run })
const exists = (...names: readonly string[]) =>
  stat(below(...names)).then(
    () => true,
    () => false,
  )

/** An uploaded object on the flow's timeline. */
const register = async (flow: string, storage_id = primaryStorage, text = `bytes of ${start}`): Promise<string> => {
  const { object_id, put_url } = await allocateOne(app, flow, { limit: 1, storage_id })
  const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
  expect((await app.fetch(put_url.url, { method: 'PUT', body: text, headers })).status).toBe(200)
  const timerange = `[${start}:0_${++start}:0)`
  expectStatus(await postSegment(app, flow, { object_id, timerange }), 201)
  return object_id
}

/** Every object of the store by its id, with its bytes. */
const contents = async (dataDir: string): Promise<Map<string, string>> => {
  const stores = await openStores(await configOf(dataDir))
  try {
    expect(await inconsistencies(stores.tables)).toEqual([])
    const found = new Map<string, string>()
    for (const { info, store } of stores.backends) {
      const { rows } = await stores.tables.read((tx) => tx.list('object_instances', { where: eq('storage_id', info.id), limit: 10_000 }))
      for (const { object_id, media_key } of rows) {
        const object = await store.get(media_key)
        if (object) found.set(object_id, await new Response(object.body).text())
      }
    }
    return found
  } finally {
    await stores.close()
  }
}

onSqlite('a backup', () => {
  test('of a store that goes on has every record and every byte, and becomes a store again', async () => {
    const { id: flow } = await createFlow(app)
    const objects = [await register(flow), await register(flow, secondaryStorage)]
    await writeFile(below('secret.key'), 'a secret that tokens are signed with')
    const manifest = await back('backup')
    expect(manifest.media).toEqual([
      { storage_id: primaryStorage, objects: 1, bytes: 10, without: 0 },
      { storage_id: secondaryStorage, objects: 1, bytes: 10, without: 0 },
    ])
    const later = await register(flow)
    await bring('backup', 'restored')
    const found = await contents(below('restored'))
    expect([...found.keys()].sort()).toEqual(objects.sort())
    expect(found.has(later)).toBe(false)
    expect(await readFile(below('restored', 'secret.key'), 'utf8')).toBe('a secret that tokens are signed with')
    expect((await stat(below('restored', 'secret.key'))).mode & 0o777).toBe(0o600)
  })

  test('is whole although objects come and go all the while', async () => {
    const { id: flow } = await createFlow(app)
    const running = { on: true }
    const busy = async () => {
      while (running.on) {
        await register(flow)
        await register(flow)
        expectStatus(await app.delete(`/flows/${flow}/segments?timerange=[${start - 1}:0_${start}:0)`), 204)
        await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
      }
    }
    const working = busy()
    for (const name of ['one', 'two', 'three']) await back(name)
    running.on = false
    await working
    for (const name of ['one', 'two', 'three']) {
      await bring(name, `${name}-restored`)
      const found = await contents(below(`${name}-restored`))
      for (const text of found.values()) expect(text).toStartWith('bytes of ')
    }
  })

  test('counts records without bytes, and is whole without them', async () => {
    const { id: flow } = await createFlow(app)
    await register(flow)
    await allocate(app, flow, { limit: 3 })
    expect((await back('backup')).media[0]).toEqual({ storage_id: primaryStorage, objects: 1, bytes: 10, without: 3 })
    expect((await bring('backup', 'restored')).media[0]).toMatchObject({ without: 3 })
  })

  test('by links shares the bytes of the store, and outlives their deletion', async () => {
    const { id: flow } = await createFlow(app)
    await register(flow)
    await back('backup', { link: true })
    expectStatus(await app.delete(`/flows/${flow}`), 204)
    await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
    await bring('backup', 'restored')
    expect([...(await contents(below('restored'))).values()]).toEqual([expect.stringContaining('bytes of')])
  })

  test('that is broken off has nothing under its name, and goes on with the same call', async () => {
    const { id: flow } = await createFlow(app)
    for (let index = 0; index < 5; index++) await register(flow)
    const stopping = new AbortController()
    stopping.abort(new Error('stopped'))
    await expect(back('backup', { signal: stopping.signal })).rejects.toThrow('stopped')
    expect(await exists('backup')).toBe(false)
    expect((await back('backup')).media[0]).toMatchObject({ objects: 5 })
    expect(await readdir(below('backup'))).toEqual(expect.arrayContaining(['backup.json', 'media', 'tams.sqlite']))
    expect(await exists('backup.partial')).toBe(false)
  })

  test('is not made over something that is there, nor of a directory without a store', async () => {
    await mkdir(below('full', 'inside'), { recursive: true })
    await expect(back('full')).rejects.toThrow('not empty')
    await expect(backUp(readConfig({ TAMS_DATA_DIR: below('none') }), below('backup'), { link: false, verify: false })).rejects.toThrow(
      'TAMS_DATA_DIR',
    )
  })
})

onSqlite('a restore', () => {
  const fileOf = async (root: string) => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    const entry = entries.find((each) => each.isFile() && !each.name.endsWith('~meta'))
    return path.join(entry?.parentPath ?? '', entry?.name ?? '')
  }
  beforeEach(async () => {
    const { id: flow } = await createFlow(app)
    await register(flow)
    await back('backup')
  })

  test('is refused into a directory that holds anything, and from what is no finished backup', async () => {
    await mkdir(below('full', 'inside'), { recursive: true })
    await expect(bring('backup', 'full')).rejects.toThrow('TAMS_DATA_DIR')
    await expect(bring('full', 'restored')).rejects.toThrow('no finished backup')
  })

  test('of damaged bytes, missing bytes or a damaged index makes no store', async () => {
    const file = await fileOf(below('backup', 'media', primaryStorage))
    const bytes = await readFile(file)
    const { mtime } = await stat(file)
    await writeFile(file, bytes.with(0, (bytes[0] ?? 0) ^ 1))
    await utimes(file, mtime, mtime)
    await expect(bring('backup', 'flipped')).rejects.toThrow('checksum differs')
    await rm(file)
    await expect(bring('backup', 'missing', { verify: false })).rejects.toThrow('objects should be 1, and 0 were found')
    await truncate(below('backup', 'tams.sqlite'), 64 * 1024)
    await expect(bring('backup', 'cut', { verify: false })).rejects.toThrow()
    for (const name of ['flipped', 'missing', 'cut']) {
      expect(await exists(name, 'tams.sqlite')).toBe(false)
      await expect(openStores(readConfig({ TAMS_DATA_DIR: below(name) }))).rejects.toThrow('has not ended')
    }
  })

  test('that is broken off goes on with the same call', async () => {
    const stopping = new AbortController()
    stopping.abort(new Error('stopped'))
    await expect(bring('backup', 'restored', { signal: stopping.signal })).rejects.toThrow('stopped')
    expect(await exists('restored', RESTORE_DIRECTORY)).toBe(true)
    await bring('backup', 'restored')
    expect(await exists('restored', RESTORE_DIRECTORY)).toBe(false)
    expect((await contents(below('restored'))).size).toBe(1)
  })
})

describe('an object that is deleted between the snapshot and its turn', () => {
  const placeOf = (clone: Place['clone']): Place => ({ storageId: primaryStorage, to: app.deps.backends[0]?.store ?? never(), clone })
  const never = (): never => {
    throw new Error('no backend')
  }

  test('makes another round with a newer snapshot', async () => {
    const { id: flow } = await createFlow(app)
    await register(flow)
    const { rows: before } = await app.deps.tables.read((tx) =>
      tx.list('object_instances', { where: eq('storage_id', primaryStorage), limit: 10 }),
    )
    let rounds = 0
    // A snapshot as it was before the deletion: only its list of places is asked for.
    const former = {
      ...app.deps.tables,
      read: async <T>(work: (tx: never) => Promise<T>) => work({ list: async () => ({ rows: before }) } as never),
    } as unknown as Tables
    const place = placeOf(async (key) => {
      if (rounds === 1) {
        expectStatus(await app.delete(`/flows/${flow}`), 204)
        await runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
      }
      return app.deps.backends[0]?.store.head(key)
    })
    const snapshot = async () => (++rounds === 1 ? former : app.deps.tables)
    const { media } = await runBackup({ live: app.deps.tables, places: [place], snapshot }, { verify: false })
    expect(rounds).toBe(2)
    expect(media.get(primaryStorage)).toEqual({ objects: 0, bytes: 0, without: 0 })
  })
})
