import { describe, expect, test } from 'bun:test'
import path from 'node:path'
import fc from 'fast-check'
import { decodeName, encodeName, locate } from '../../../src/storage/disk/layout.ts'
import { keyToUrlPath } from '../../../src/storage/disk/url-path.ts'
import { day, oddKeys, streamOf } from '../../contract/media.ts'
import { temporaryStore } from './media-server.ts'

const anyKey = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
  fc
    .array(fc.constantFrom('..', '.', '', 'a', 'A', '%2e', '2026', '11', '21', '~tmp', '\0', '\\'), { minLength: 1, maxLength: 8 })
    .map((parts) => parts.join('/')),
)
const keys = anyKey.filter((key) => key !== '' && key.isWellFormed())
const pathOf = (key: string) => path.posix.join(locate(key).directory, locate(key).name)

describe('the place of a key on disk', () => {
  test('is below its date, readable where the id is plain', () => {
    expect(locate(`${day}/0d6f9a3e-1111`)).toEqual({ directory: day, name: '0d6f9a3e-1111' })
    expect(locate('media/store/2026/11/21/a.ts')).toEqual({ directory: 'media%2fstore/2026/11/21', name: 'a.ts' })
  })

  test('never leaves the root, is never hidden and has names that every file system takes', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const place = pathOf(key)
        expect(path.posix.resolve('/root', place)).toBe(`/root/${place}`)
        for (const name of place.split('/')) expect(name).toMatch(/^(?!\.)[a-z0-9_.%~-]{1,200}(?<!\.)$/)
        expect(place).not.toMatch(/^~tmp|~meta$/)
      }),
    )
  })

  test('is another one for another key, on a file system that ignores case too', () => {
    fc.assert(fc.property(keys, keys, (a, b) => a === b || pathOf(a).toLowerCase() !== pathOf(b).toLowerCase()))
    expect(new Set(oddKeys.map(pathOf)).size).toBe(oddKeys.length)
  })

  test('has one file, its sidecar and no other for each odd key', async () => {
    const temporary = await temporaryStore()
    for (const key of oddKeys) await temporary.store.put(key, streamOf('x'), { contentType: 'video/mp2t' })
    const expected = oddKeys.flatMap((key) => [pathOf(key), `${pathOf(key)}~meta`])
    expect(await temporary.files()).toEqual(expected.sort())
    expect(await Array.fromAsync(new Bun.Glob('*').scan({ cwd: path.dirname(temporary.root), onlyFiles: false }))).toEqual(['media'])
    await temporary.close()
  })

  test.each(['', '\ud800'])('does not exist for the key %j', async (key) => {
    expect(() => locate(key)).toThrow(/key: /)
  })

  test('a name decodes to the id it was made of, and no foreign name decodes', () => {
    fc.assert(fc.property(keys, (key) => decodeName(encodeName(key)) === key))
    for (const foreign of ['Upper', '.nfs0001', '%zz', '%2F', '%61', 'a~meta', '']) expect(decodeName(foreign)).toBeUndefined()
  })
})

describe('the key in a URL', () => {
  test('comes back by one decoding of what a URL parser makes of it', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const { pathname } = new URL(`http://host/media/id${keyToUrlPath(key)}?expires=1`)
        expect(decodeURIComponent(pathname)).toBe(`/media/id/${key}`)
        expect(pathname).not.toMatch(/[,;'()!*]/)
      }),
      { numRuns: 300 },
    )
  })

  test('is the key itself where nothing needs an escape', () => {
    expect(keyToUrlPath(`${day}/0d6f9a3e-1111.ts`)).toBe(`/${day}/0d6f9a3e-1111.ts`)
  })
})
