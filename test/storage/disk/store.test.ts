import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFile, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { nodeFs } from '../../../src/storage/disk/index.ts'
import { brokenStream, day, streamOf } from '../../contract/media.ts'
import { faultyFs } from './faulty-fs.ts'
import { type TemporaryStore, temporaryStore } from './media-server.ts'

const key = `${day}/object`
const type = { contentType: 'video/mp2t' }

describe('the disk store', () => {
  let temporary: TemporaryStore
  beforeEach(async () => {
    temporary = await temporaryStore()
  })
  afterEach(() => temporary.close())

  const text = async (of: string, store = temporary.store) => {
    const found = await store.get(of)
    return found && new Response(found.body).text()
  }

  const reopenedWithCalls = async () => {
    const { fs, calls, arm } = faultyFs()
    const reopened = await temporary.reopen({ fs })
    arm(0)
    return { calls, reopened }
  }

  test('keeps the bytes in a file of their own, and what they are in a sidecar', async () => {
    await temporary.store.put(key, streamOf('hello'), type)
    expect(await temporary.files()).toEqual([key, `${key}~meta`])
    expect(await readFile(path.join(temporary.root, key), 'utf8')).toBe('hello')
    expect(JSON.parse(await readFile(path.join(temporary.root, `${key}~meta`), 'utf8'))).toEqual({
      key,
      versions: [{ size: 5, modified_ms: 1_800_000_000_000, md5: '5d41402abc4b2a76b9719d911017c592', content_type: 'video/mp2t' }],
    })
  })

  test('still has everything after a restart', async () => {
    const stored = await temporary.store.put(key, streamOf('hello'), type)
    const again = await temporary.reopen()
    expect(await again.head(key)).toEqual(stored)
    expect(await text(key, again)).toBe('hello')
  })

  test('the entity tag is the MD5, and the modification time that of the put', async () => {
    const stored = await temporary.store.put(key, streamOf('hello'), type)
    expect(stored).toEqual({
      size: 5,
      etag: '"5d41402abc4b2a76b9719d911017c592"',
      contentType: 'video/mp2t',
      modifiedUs: 1_800_000_000_000_000n,
    })
  })

  test('two versions of one size within one millisecond are told apart', async () => {
    const first = await temporary.store.put(key, streamOf('one'), type)
    const second = await temporary.store.put(key, streamOf('two'), { contentType: 'audio/mp4' })
    expect(second.modifiedUs).toBeGreaterThan(first.modifiedUs)
    expect(await temporary.store.head(key)).toEqual(second)
  })

  test('a copy of the directory that lost the file times is still readable', async () => {
    await temporary.store.put(key, streamOf('hello'), type)
    await utimes(path.join(temporary.root, key), 1, 1)
    expect(await text(key)).toBe('hello')
  })

  test.each(['', '{', '{"key":1}', '{"key":"other","versions":[{"size":5,"modified_ms":1,"md5":"","content_type":""}]}'])(
    'a data file whose sidecar is %j is no object',
    async (sidecar) => {
      await temporary.store.put(key, streamOf('hello'), type)
      await writeFile(path.join(temporary.root, `${key}~meta`), sidecar)
      expect(await temporary.store.head(key)).toBeUndefined()
      expect(await temporary.store.get(key)).toBeUndefined()
      await temporary.store.put(key, streamOf('again'), { ...type, ifAbsent: true })
      expect(await text(key)).toBe('again')
    },
  )

  test('an object that is being read stays as it was when it is replaced or deleted', async () => {
    const large = (fill: number) => new Uint8Array(1_000_000).fill(fill)
    await temporary.store.put(key, streamOf(large(1)), type)
    const [one, two] = [await temporary.store.get(key), await temporary.store.get(key)]
    await temporary.store.put(key, streamOf(large(2)), type)
    expect(await new Response(one?.body).bytes()).toEqual(large(1))
    await temporary.store.delete([key])
    expect(await new Response(two?.body).bytes()).toEqual(large(1))
  })

  test('a read is only as far ahead as its reader', async () => {
    await temporary.store.put(key, streamOf(new Uint8Array(2_000_000)), type)
    const { calls, reopened } = await reopenedWithCalls()
    const reader = (await reopened.get(key))?.body.getReader()
    const first = await reader?.read()
    expect(first?.value?.length).toBe(256 * 1024)
    expect(calls.filter((call) => call === 'read')).toHaveLength(1)
    await reader?.cancel()
  })

  test('a put asks for the next chunk only when the former one is written', async () => {
    const { calls, reopened } = await reopenedWithCalls()
    let given = 0
    const ahead: number[] = []
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          ahead.push(given - calls.filter((call) => call === 'write').length)
          if (given === 20) return controller.close()
          given++
          controller.enqueue(new Uint8Array(1000))
        },
      },
      { highWaterMark: 0 },
    )
    expect(await reopened.put(key, body, type)).toMatchObject({ size: 20_000 })
    expect(ahead).toEqual(Array.from({ length: 21 }, () => 0))
  })

  test('the announced length is held against what came', async () => {
    for (const size of [4, 6]) {
      await expect(temporary.store.put(key, streamOf('hello'), { ...type, size })).rejects.toMatchObject({ code: 'invalid' })
    }
    expect(await temporary.files()).toEqual([])
  })

  test('nothing is stored when beforeCommit throws after the last byte', async () => {
    const beforeCommit = () => Promise.reject(new Error('registered meanwhile'))
    await expect(temporary.store.put(key, streamOf('hello'), { ...type, beforeCommit })).rejects.toThrow('registered meanwhile')
    expect(await temporary.files()).toEqual([])
  })

  test('a read that is cancelled, refused or finished closes its file', async () => {
    await temporary.store.put(key, streamOf(new Uint8Array(1_000_000)), type)
    const { calls, reopened } = await reopenedWithCalls()
    const open = () => calls.filter((call) => call === 'open').length - calls.filter((call) => call === 'close').length
    await (await reopened.get(key))?.body.cancel()
    expect(open()).toBe(0)
    const partly = (await reopened.get(key))?.body.getReader()
    await partly?.read()
    expect(open()).toBe(1)
    await partly?.cancel()
    expect(open()).toBe(0)
    await new Response((await reopened.get(key, { range: { start: 5, end: 600_000 } }))?.body).bytes()
    expect(open()).toBe(0)
    await expect(reopened.get(key, { range: { start: 1_000_000, end: 1_000_001 } })).rejects.toThrow()
    expect(open()).toBe(0)
  })

  test('a list that is aborted stops', async () => {
    await temporary.store.put(key, streamOf('hello'), type)
    const list = temporary.store.list({ signal: AbortSignal.abort(new Error('enough')) })
    await expect(Array.fromAsync(list)).rejects.toThrow('enough')
  })

  test('a list passes over files that are not ours', async () => {
    await temporary.store.put(key, streamOf('hello'), type)
    for (const foreign of ['Thumbs.db', '.nfs1', 'note', `~${'0'.repeat(64)}`])
      await writeFile(path.join(temporary.root, day, foreign), 'x')
    expect(await Array.fromAsync(temporary.store.list({}), (object) => object.key)).toEqual([key])
  })

  test('a missing directory fails the check', async () => {
    await Bun.$`rm -r ${temporary.root}`
    await expect(temporary.store.check()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a root that cannot be a directory is unavailable at start', async () => {
    await writeFile(path.join(temporary.root, 'file'), '')
    await expect(temporary.reopen({ root: path.join(temporary.root, 'file', 'below') })).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('temporary files', () => {
  test('of ended processes and of a former life are swept at start, those of a living process stay', async () => {
    const temporary = await temporaryStore()
    const ended = Bun.spawn(['true'])
    await ended.exited
    const living = process.ppid
    for (const name of [`${ended.pid}-a`, `${process.pid}-b`, 'no pid', `${living}-c`]) {
      await writeFile(path.join(temporary.root, '~tmp', name), 'x')
    }
    await temporary.reopen()
    expect(await temporary.files()).toEqual([`~tmp/${living}-c`])
    await temporary.close()
  })

  test('of a broken upload are gone at once', async () => {
    const temporary = await temporaryStore()
    const body = brokenStream('half', (controller) => controller.error(new Error('gone')))
    await expect(temporary.store.put(key, body, type)).rejects.toMatchObject({ code: 'invalid' })
    expect(await temporary.files()).toEqual([])
    await temporary.close()
  })
})

describe('below the low-water mark', () => {
  const space = { free: 0 }
  const fs = { ...nodeFs, statfs: async () => ({ bavail: space.free, bsize: 1 }) }

  test('puts are refused with storage_full and reads go on', async () => {
    const temporary = await temporaryStore({ fs, lowWaterBytes: 1000 })
    space.free = 2000
    await temporary.store.put(key, streamOf('hello'), type)
    space.free = 999
    await expect(temporary.store.put(`${key}-2`, streamOf('more'), type)).rejects.toMatchObject({ code: 'storage_full' })
    expect(await temporary.store.head(key)).toMatchObject({ size: 5 })
    await temporary.close()
  })

  test('a put that announces more than there is room for is refused before it is read', async () => {
    const temporary = await temporaryStore({ fs, lowWaterBytes: 1000 })
    space.free = 2000
    await expect(temporary.store.put(key, streamOf('x'.repeat(1001)), { ...type, size: 1001 })).rejects.toMatchObject({
      code: 'storage_full',
    })
    await temporary.close()
  })

  test('a put without a length is stopped on its way', async () => {
    const temporary = await temporaryStore({ fs, lowWaterBytes: 1000 })
    space.free = 2000
    const chunk = new Uint8Array(32 * 1024 * 1024)
    let given = 0
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          given++
          space.free = 500
          controller.enqueue(chunk)
        },
      },
      { highWaterMark: 0 },
    )
    await expect(temporary.store.put(key, body, type)).rejects.toMatchObject({ code: 'storage_full' })
    expect(given).toBe(2)
    expect(await temporary.files()).toEqual([])
    await temporary.close()
  })
})
