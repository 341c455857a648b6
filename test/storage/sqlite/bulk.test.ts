import { expect, test } from 'bun:test'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { eq } from '../../../src/core/predicate.ts'
import { flowRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()
const everything = eq('deletion_id', '')
const id = (i: number): string => `f${String(i).padStart(5, '0')}`
const flows = (count: number, overrides: Parameters<typeof flowRow>[1] = {}) =>
  Array.from({ length: count }, (_, i) => flowRow(id(i), overrides))

test.each([1, 7, 8, 9, 31, 32, 33, 100])('%i rows in one call are all inserted, each with its own cells', async (count) => {
  const tables = await stores.open()
  const rows = flows(count).map((row, i) => ({ ...row, label: `label ${i}`, created: BigInt(i) }))
  await tables.write((tx) => tx.insert('flows', rows))
  expect((await tables.read((tx) => tx.list('flows', { where: everything, limit: 200 }))).rows).toEqual(rows)
})

test.each([0, 3, 40, 69])('of 70 rows the one whose key is there already, number %i, is named, and none is inserted', async (taken) => {
  const tables = await stores.open()
  await tables.write((tx) => tx.insert('flows', [flowRow(id(taken))]))
  const failed = tables.write((tx) => tx.insert('flows', flows(70)))
  expect(failed).rejects.toThrow(`(${id(taken)}, )`)
  await failed.catch(() => {})
  expect(await tables.read((tx) => tx.count('flows', everything))).toBe(1)
})

test('a key that comes twice in one call is named, and the work can go on', async () => {
  const tables = await stores.open()
  const outcome = await tables.write(async (tx) => {
    const twice = [...flows(20), flowRow(id(13)), ...flows(40).slice(20)]
    const error = await tx.insert('flows', twice).catch((reason: unknown) => reason)
    await tx.insert('flows', [flowRow('other')])
    return error
  })
  expect(outcome).toMatchObject({ code: 'exists', message: expect.stringContaining(`(${id(13)}, )`) })
  expect(await tables.read((tx) => tx.count('flows', everything))).toBe(1)
})

test('put replaces and inserts many rows in one call; of two with one key the later stays', async () => {
  const tables = await stores.open()
  await tables.write((tx) => tx.insert('flows', flows(30, { label: 'old' })))
  await tables.write((tx) => tx.put('flows', [...flows(60, { label: 'new' }), flowRow(id(5), { label: 'last' })]))
  const { rows } = await tables.read((tx) => tx.list('flows', { columns: ['id', 'label'], where: everything, limit: 100 }))
  expect(rows).toHaveLength(60)
  expect(rows.map(({ label }) => label)).toEqual(Array.from({ length: 60 }, (_, i) => (i === 5 ? 'last' : 'new')))
})

const IO = '/proc/self/io'
const bytesWritten = (): number => Number(/wchar: (\d+)/.exec(readFileSync(IO, 'utf8'))?.[1])
if (!existsSync(IO)) console.warn(`${IO} is not there: the bytes of a bulk write are not counted`)

test.skipIf(!existsSync(IO))(
  'works that change the same pages again and again write the log and the file, and no copies of pages beside',
  async () => {
    const tables = await stores.open()
    const before = bytesWritten()
    // Keys in scattered order: each work changes pages that those before it have made.
    const rows = flows(8000).toSorted((a, b) => Bun.hash.crc32(a.id) - Bun.hash.crc32(b.id))
    const works = Array.from({ length: 80 }, (_, n) => rows.slice(100 * n, 100 * (n + 1)))
    await Promise.all(works.map((part) => tables.write((tx) => tx.insert('flows', part))))
    const log = statSync(`${stores.file()}-wal`).size
    expect(bytesWritten() - before).toBeLessThan(2 * (log + statSync(stores.file()).size))
  },
)
