import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readStorageConfig } from '../../src/storage-config.ts'
import { list } from '../support/answers.ts'
import { openApp, primaryStorage, secondaryStorage, type TestApp } from '../support/app.ts'
import { expectStatus, ids, nextLink, walk } from '../support/fixtures.ts'

const backend = (id: string, label?: string, tags?: Readonly<Record<string, string | readonly string[]>>) => ({
  id,
  ...(label !== undefined && { label }),
  store_type: 'http_object_store' as const,
  provider: 'example',
  store_product: 'disk',
  ...(tags && { tags }),
})

const unlabelledA = '0a000000-0000-4000-8000-000000000001'
const unlabelledB = 'b0000000-0000-4000-8000-000000000002'
const zebra = 'c0000000-0000-4000-8000-000000000003'
const apple = 'd0000000-0000-4000-8000-000000000004'

let app: TestApp
beforeAll(async () => {
  app = await openApp({
    backends: [
      backend(unlabelledB, undefined, { empty: '' }),
      backend(zebra, 'zebra', { site: 'london', 'a.b': 'dotted' }),
      { ...backend(apple, 'apple', { site: ['salford', 'leeds'], comma: 'one,two' }), default_storage: true },
      backend(unlabelledA),
    ],
  })
})
afterAll(() => app.close())

const found = async (query: string) => ids(list(expectStatus(await app.get(`/service/storage-backends${query}`), 200)))
const sorted = [apple, zebra, unlabelledA, unlabelledB]

describe('GET /service/storage-backends', () => {
  test('sorts by label, and those without one by id behind them [3.3] [1.6] [3.3-M3] [1.6-M2]', async () => {
    expect(await found('')).toEqual(sorted)
  })

  test('reverse_order reverses the whole order [3.3] [1.6] [3.3-M3] [1.6-M1] [1.6-M2]', async () => {
    expect(await found('?reverse_order=true')).toEqual([...sorted].reverse())
  })

  test('shows what was configured, with at most one default [3.3] [3.3-M1]', async () => {
    const items = list(await app.get('/service/storage-backends'))
    expect(items.filter((item) => item.default_storage === true)).toHaveLength(1)
    expect(items[0]).toMatchObject({
      id: apple,
      label: 'apple',
      store_type: 'http_object_store',
      provider: 'example',
      store_product: 'disk',
      default_storage: true,
      tags: { site: ['salford', 'leeds'], comma: 'one,two' },
    })
  })

  test('two defaults are refused when the service starts [3.3-M2]', async () => {
    const backends = ['a', 'b'].map((name, index) => ({
      id: [unlabelledA, unlabelledB][index],
      type: 'disk',
      root: name,
      provider: 'example',
      store_product: 'disk',
      default_storage: true,
    }))
    const folder = await mkdtemp(path.join(tmpdir(), 'tams-backends-'))
    try {
      const file = path.join(folder, 'storage.json')
      await Bun.write(file, JSON.stringify({ backends }))
      await expect(readStorageConfig(file)).rejects.toThrow('more than one has default_storage')
      await Bun.write(file, JSON.stringify({ backends: backends.map((each, index) => ({ ...each, default_storage: index === 0 })) }))
      expect((await readStorageConfig(file)).map(({ info }) => info.default_storage)).toEqual([true, false])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('the standard two have their ids as configured [3.3]', async () => {
    const other = await openApp()
    try {
      expect(ids(list(await other.get('/service/storage-backends')))).toEqual([primaryStorage, secondaryStorage])
    } finally {
      await other.close()
    }
  })

  test('has all five paging headers [3.3] [A] [3.3-M5]', async () => {
    const answer = await app.get('/service/storage-backends?limit=3')
    expect(answer.headers.get('x-paging-limit')).toBe('3')
    expect(answer.headers.get('x-paging-count')).toBe('3')
    expect(answer.headers.get('x-paging-reverse-order')).toBe('false')
    expect(answer.headers.get('x-paging-nextkey')).toBeTruthy()
    expect(nextLink(answer)).toContain('limit=3')
  })

  test.each([[''], ['&reverse_order=true']])('pages of one cover all in order%s [1.5] [3.3]', async (order) => {
    expect(ids(await walk(app, `/service/storage-backends?limit=1${order}`))).toEqual(order === '' ? sorted : [...sorted].reverse())
  })

  test.each([
    ['?tag.site=london', [zebra]],
    ['?tag.site=leeds', [apple]],
    ['?tag.site=london,leeds', [apple, zebra]],
    ['?tag.site=lond', []],
    ['?tag.site=London', []],
    ['?tag.a.b=dotted', [zebra]],
    ['?tag.empty=', [unlabelledB]],
    ['?tag.comma=one%2Ctwo', [apple]],
    ['?tag_exists.site=true', [apple, zebra]],
    ['?tag_exists.site=false', [unlabelledA, unlabelledB]],
    ['?tag_exists.empty=true', [unlabelledB]],
    ['?tag.site=salford&tag_exists.comma=true', [apple]],
    ['?tag.site=salford&tag_exists.comma=false', []],
  ])('filters by tags: %s [1.7] [3.3] [1.7-M1] [1.7-M2] [1.7-M3] [1.7-M4] [1.7-M5] [13-25]', async (query, expected) => {
    expect(await found(query)).toEqual(expected)
  })

  test.each([['?limit=0'], ['?limit=-1'], ['?limit=x'], ['?reverse_order=maybe'], ['?page=nonsense'], ['?tag_exists.site=perhaps']])(
    'refuses %s [1.4] [3.3]',
    async (query) => {
      expectStatus(await app.get(`/service/storage-backends${query}`), 400)
    },
  )

  test.each([['POST'], ['PUT'], ['DELETE']])('is read-only: %s is answered 405 [3.3] [3.3-M4]', async (method) => {
    expectStatus(await app.request(method, '/service/storage-backends', { body: {} }), 405)
  })
})
