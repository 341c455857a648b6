import { describe, expect, test } from 'bun:test'
import type { DiskStore } from '../../../src/storage/disk/index.ts'
import { day, streamOf } from '../../contract/media.ts'
import { faultyFs } from './faulty-fs.ts'
import { temporaryStore } from './media-server.ts'

const key = `${day}/some object`
const former = { body: 'former bytes', contentType: 'video/mp4' }
const next = { body: 'next bytes, of another length', contentType: 'video/mp2t' }

const put = (store: DiskStore, { body, contentType }: typeof former, ifAbsent = false) =>
  store.put(key, streamOf(body.slice(0, 5), body.slice(5)), { contentType, ifAbsent })

const seen = async (store: DiskStore) => {
  const found = await store.get(key)
  return found && { body: await new Response(found.body).text(), contentType: found.contentType }
}

const scenarios = [
  { name: 'a first put', before: undefined, ifAbsent: false },
  { name: 'a first put with ifAbsent', before: undefined, ifAbsent: true },
  { name: 'a replacing put', before: former, ifAbsent: false },
]

/** Runs the scenario with call 1, 2, 3, … failing until none of its calls is left to fail; gives the number of its calls. */
const forEachCall = async (
  scenario: (typeof scenarios)[number],
  forever: boolean,
  check: (outcome: { call: string; acknowledged: boolean; visible: typeof former | undefined; files: readonly string[] }) => void,
): Promise<number> => {
  for (let failing = 1; ; failing++) {
    const faulty = faultyFs()
    const temporary = await temporaryStore({ fs: faulty.fs, lowWaterBytes: 1 })
    try {
      if (scenario.before) await put(temporary.store, scenario.before)
      faulty.arm(failing, { forever })
      const [result] = await Promise.allSettled([put(temporary.store, next, scenario.ifAbsent)])
      faulty.disarm()
      if (faulty.calls.length < failing) return faulty.calls.length
      const filesAtOnce = await temporary.files()
      const visible = await seen(await temporary.reopen())
      check({
        call: `${failing}: ${faulty.calls[failing - 1]}`,
        acknowledged: result?.status === 'fulfilled',
        visible,
        files: forever ? await temporary.files() : filesAtOnce,
      })
    } finally {
      await temporary.close()
    }
  }
}

describe.each(scenarios)('$name', (scenario) => {
  test('leaves nothing of itself when any one of its system calls fails', async () => {
    const calls = await forEachCall(scenario, false, ({ call, acknowledged, visible, files }) => {
      const temporaries = files.filter((file) => file.startsWith('~tmp'))
      if (visible?.body === next.body) expect([call, visible]).toEqual([call, next])
      else {
        expect([call, acknowledged]).toEqual([call, false])
        expect([call, visible]).toEqual([call, scenario.before])
        expect([call, temporaries]).toEqual([call, []])
        expect([call, files.length]).toEqual([call, scenario.before ? 2 : 0])
      }
    })
    // Fewer would mean that a sync or rename is no longer made.
    expect(calls).toBeGreaterThan(15)
  })

  test('leaves all or nothing when the process dies at any of its system calls', async () => {
    await forEachCall(scenario, true, ({ call, acknowledged, visible, files }) => {
      if (acknowledged || visible?.body === next.body) expect([call, visible]).toEqual([call, next])
      else expect([call, visible]).toEqual([call, scenario.before])
      expect([call, files.filter((file) => file.startsWith('~tmp'))]).toEqual([call, []])
    })
  })
})

test('an acknowledged put has synced the data, the sidecar and the directory, in this order around the renames', async () => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  await put(temporary.store, former)
  await temporary.store.delete([key])
  faulty.arm(0)
  await put(temporary.store, next)
  expect(faulty.calls.filter((call) => ['fsync', 'rename'].includes(call))).toEqual(['fsync', 'fsync', 'rename', 'rename', 'fsync'])
  await temporary.close()
})

test('a replacing put makes its sidecar durable before the data is renamed', async () => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  await put(temporary.store, former)
  faulty.arm(0)
  await put(temporary.store, next)
  expect(faulty.calls.filter((call) => ['fsync', 'rename'].includes(call))).toEqual([
    'fsync',
    'fsync',
    'rename',
    'fsync',
    'rename',
    'fsync',
  ])
  await temporary.close()
})

test('a delete removes the data before its sidecar and syncs the directory', async () => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  await put(temporary.store, former)
  faulty.arm(0)
  await temporary.store.delete([key])
  expect(faulty.calls).toEqual(['unlink', 'unlink', 'open', 'fsync', 'close'])
  await temporary.close()
})

test('new directories are synced in their parents before the object is acknowledged', async () => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  faulty.arm(0)
  await put(temporary.store, next)
  const calls = faulty.calls.filter((call) => ['mkdir', 'fsync', 'rename'].includes(call))
  const made = Array.from({ length: 4 }, () => ['mkdir', 'fsync']).flat()
  expect(calls).toEqual(['fsync', ...made, 'fsync', 'rename', 'rename', 'fsync'])
  await temporary.close()
})

test.each(['ENOSPC', 'EDQUOT'])('%s while writing is storage_full', async (code) => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  faulty.arm(3, { code })
  await expect(put(temporary.store, next)).rejects.toMatchObject({ code: 'storage_full' })
  expect(faulty.calls[2]).toBe('write')
  faulty.disarm()
  expect(await temporary.files()).toEqual([])
  await temporary.close()
})

test('any other failure of the disk is unavailable, with its cause', async () => {
  const faulty = faultyFs()
  const temporary = await temporaryStore({ fs: faulty.fs })
  faulty.arm(1, { forever: true })
  await expect(put(temporary.store, next)).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'EIO' } })
  await expect(temporary.store.head(key)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(temporary.store.check()).rejects.toMatchObject({ code: 'unavailable' })
  faulty.disarm()
  await temporary.close()
})

test('a directory that was removed while the store runs is made again by the next put but one', async () => {
  const temporary = await temporaryStore()
  await put(temporary.store, former)
  await Bun.$`rm -r ${temporary.root}/tams`
  await expect(put(temporary.store, next)).rejects.toMatchObject({ code: 'unavailable' })
  await put(temporary.store, next)
  expect(await seen(temporary.store)).toEqual(next)
  await temporary.close()
})
