import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { systemClock } from '../../../src/core/clock.ts'
import { createCloner, createDiskStore, type DiskStore } from '../../../src/storage/disk/index.ts'
import { faultyFs } from './faulty-fs.ts'

// Much of the time of these tests is the disk's.
setDefaultTimeout(120_000)

let directory: string
let store: DiskStore
const KEY = 'tams/2026/11/21/Object 1'
const open = (name: string) =>
  createDiskStore({ root: path.join(directory, name), storageId: 'x', secret: 'a secret of the tests, 32 bytes..', clock: systemClock() })
const put = (text: string) => store.put(KEY, new Blob([text]).stream(), { contentType: 'video/mp2t' })
const cloner = (to: string, link: boolean, fs = faultyFs().fs) =>
  createCloner({ from: path.join(directory, 'from'), to: path.join(directory, to), link, fs })
const textOf = async (name: string) => {
  const object = await (await open(name)).get(KEY)
  return (
    object && { text: await new Response(object.body).text(), type: object.contentType, modified: object.modifiedUs, etag: object.etag }
  )
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'tams-clone-'))
  store = await open('from')
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test.each([true, false])('a clone is the object with its type, times and checksum (link: %p)', async (link) => {
  await put('bytes')
  await open('to')
  expect(await cloner('to', link)(KEY)).toEqual(await store.head(KEY))
  expect(await textOf('to')).toEqual(await textOf('from'))
})

test('a linked clone takes no room, a copied one has bytes of its own', async () => {
  await put('bytes')
  const inodeIn = async (name: string) => {
    const entries = await readdir(path.join(directory, name), { recursive: true, withFileTypes: true })
    const file = entries.find((entry) => entry.isFile() && !entry.name.endsWith('~meta'))
    return (await stat(path.join(file?.parentPath ?? '', file?.name ?? ''))).ino
  }
  for (const [name, link] of [
    ['linked', true],
    ['copied', false],
  ] as const) {
    await open(name)
    await cloner(name, link)(KEY)
    expect((await inodeIn(name)) === (await inodeIn('from'))).toBe(link)
  }
})

test.each([true, false])('what is not there is no clone, and one that is there is left as it is (link: %p)', async (link) => {
  await open('to')
  const clone = cloner('to', link)
  expect(await clone(KEY)).toBeUndefined()
  await put('bytes')
  await clone(KEY)
  const { fs, calls, arm } = faultyFs()
  arm(0)
  await cloner('to', link, fs)(KEY)
  expect(calls.filter((call) => call === 'rename')).toEqual([])
  await put('replaced')
  await clone(KEY)
  expect(await textOf('to')).toMatchObject({ text: 'replaced' })
})

test.each([true, false])('whatever call fails, the clone is whole or not there, and the next try makes it (link: %p)', async (link) => {
  await put('bytes')
  const counted = faultyFs()
  await open('count')
  counted.arm(0)
  await cloner('count', link, counted.fs)(KEY)
  expect(counted.calls.length).toBeGreaterThan(5)
  for (let failing = 1; failing <= counted.calls.length; failing++) {
    const name = `to-${failing}`
    await open(name)
    const { fs, arm, disarm } = faultyFs()
    arm(failing, { forever: true })
    await cloner(name, link, fs)(KEY).catch(() => undefined)
    disarm()
    const found = await textOf(name)
    if (found) expect(found).toMatchObject({ text: 'bytes', type: 'video/mp2t' })
    await cloner(name, link, fs)(KEY)
    expect(await textOf(name)).toMatchObject({ text: 'bytes', type: 'video/mp2t' })
  }
})
