import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Field, Int64, type RecordBatch, Utf8 } from 'apache-arrow'
import { VastClient } from '../../src/vastdb/client.ts'
import { CommitUncertain, Conflict, NotFound } from '../../src/vastdb/errors.ts'
import type { Table } from '../../src/vastdb/tables.ts'
import { batchOf } from '../../src/vastdb/wire/build.ts'
import { between, contains, eq, isNull, startsWith } from '../../src/vastdb/wire/predicate.ts'
import { ROW_ID } from '../../src/vastdb/wire/row-id.ts'
import { columnValues, type Value } from '../../src/vastdb/wire/values.ts'
import { type Emulator, startEmulator } from '../emulators/vast/index.ts'
import { fakeTools } from './support/scripted-server.ts'
import { everyType } from './support/types.ts'

let emulator: Emulator
let client: VastClient

beforeAll(async () => {
  emulator = await startEmulator({ buckets: ['b'], chunkRows: 700 })
  client = await VastClient.connect({ endpoints: [emulator.url], accessKey: 'test', secretKey: 'test', bucket: 'b', tools: fakeTools() })
  await client.database.createSchema('s')
})
afterAll(async () => {
  client.close()
  await emulator.close()
})

const fields = [new Field('name', new Utf8(), true), new Field('size', new Int64(), true)]
const files = (count: number): RecordBatch =>
  batchOf(fields, [Array.from({ length: count }, (_, i) => `file-${i}`), Array.from({ length: count }, (_, i) => BigInt(i))])

const columnsOf = async (batches: AsyncIterable<RecordBatch>): Promise<Value[][]> => {
  const columns: Value[][] = []
  for await (const batch of batches)
    batch.data.children.forEach((column, i) => {
      columns[i] = [...(columns[i] ?? []), ...columnValues(column)]
    })
  return columns
}

const created = (table: string, sortedColumns: readonly string[] = []): Promise<Table> =>
  client.database.createTable({ schema: 's', table }, fields, { sortedColumns })

describe('a table', () => {
  test('of every type gives back the exact values', async () => {
    const name = { schema: 's', table: 'types' }
    const columns = everyType.map(([field]) => field)
    await client.database.createTable(name, columns)
    const table = await client.database.table(name)
    await client.database.insert(
      table,
      batchOf(
        columns,
        everyType.map(([, values]) => values),
      ),
    )
    const found = await columnsOf(client.database.select(table, { columns: columns.map((field) => field.name), splits: 1, subsplits: 1 }))
    expect(found).toEqual(everyType.map(([, values]) => [...values]))
  })

  test.each([
    ['plain', []],
    ['sorted', ['name']],
  ])('that is %s is filled, asked, changed and emptied', async (kind, key) => {
    await created(kind, key)
    const table = await client.database.table({ schema: 's', table: kind })
    expect(table.rowIds).toBe(kind === 'sorted' ? 'wide' : 'plain')
    const ids = await client.database.insert(table, files(100))
    expect(new Set(ids).size).toBe(100)
    const where = [startsWith('name', 'file-1'), between('size', 10n, 14n), contains('name', '1')]
    const [found, sizes] = await columnsOf(client.database.select(table, { columns: [ROW_ID, 'size'], where }))
    expect(sizes?.toSorted()).toEqual([10n, 11n, 12n, 13n, 14n])
    expect(found?.toSorted()).toEqual(ids.slice(10, 15).toSorted())
    await client.database.update(table, ids.slice(10, 12), batchOf([fields[1] as Field], [[null, -1n]]))
    expect(await client.database.count(table, { where: [isNull('size')] })).toBe(1)
    await client.database.delete(table, ids.slice(5))
    expect((await client.database.stats(table)).numRows).toBe(5n)
    expect(await client.database.count(table)).toBe(5)
  })

  test('of three row groups is read whole, once, by any number of splits', async () => {
    const table = await created('large')
    const rows = 140_000
    await client.database.insert(table, files(rows))
    for (const [splits, subsplits, rowGroups] of [
      [3, 2, 1],
      [2, 4, 1],
    ] as const) {
      const [sizes = []] = await columnsOf(
        client.database.select(table, { columns: ['size'], splits, subsplits, rowGroups, concurrency: 2 }),
      )
      expect(sizes).toHaveLength(rows)
      expect(new Set(sizes).size).toBe(rows)
    }
  })
})

describe('a transaction', () => {
  test('sees its own rows; others see them after the commit, and never after a rollback', async () => {
    const table = await created('isolated')
    const tx = await client.begin()
    await tx.insert(table, files(3))
    expect(await tx.count(table)).toBe(3)
    expect(await client.database.count(table)).toBe(0)
    await tx.commit()
    expect(await client.database.count(table)).toBe(3)
    await expect(
      client.transaction((second) => second.insert(table, files(2)).then(() => Promise.reject(new Error('no')))),
    ).rejects.toThrow('no')
    expect(await client.database.count(table)).toBe(3)
  })

  test('that loses a row to another is a conflict', async () => {
    const table = await created('contested')
    const [id = 0n] = await client.database.insert(table, files(1))
    const [first, second] = [await client.begin(), await client.begin()]
    const size = (value: bigint) => batchOf([fields[1] as Field], [[value]])
    await first.update(table, [id], size(1n))
    const loser = (async () => {
      await second.update(table, [id], size(2n))
      await first.commit()
      await second.commit()
    })()
    await expect(loser).rejects.toBeInstanceOf(Conflict)
    await Promise.allSettled([first.active ? first.commit() : undefined, second.active ? second.rollback() : undefined])
    expect((await columnsOf(client.database.select(table, { columns: ['size'] }))).flat()).toEqual([1n])
  })
})

describe('schema changes', () => {
  test('columns are added, renamed and dropped', async () => {
    const table = await created('changing')
    await client.database.insert(table, files(1))
    await client.database.addColumns(table, [new Field('extra', new Utf8(), true)])
    await client.database.renameColumn(table, 'size', 'bytes')
    const changed = await client.database.table(table)
    expect(changed.fields.map((field) => field.name)).toEqual(['name', 'bytes', 'extra'])
    expect(await columnsOf(client.database.select(changed, { columns: ['bytes', 'extra'] }))).toEqual([[0n], [null]])
    await client.database.dropColumns(changed, changed.fields.slice(2))
    expect((await client.database.table(table)).fields.map((field) => field.name)).toEqual(['name', 'bytes'])
  })

  test('projections are created, listed, renamed and dropped', async () => {
    const table = await created('projected')
    await client.database.createProjection(table, 'p', { sorted: ['size'], unsorted: ['name'] })
    expect((await client.database.listProjections(table)).map(({ name }) => name)).toEqual(['p'])
    expect((await client.database.projectionColumns(table, 'p')).map((field) => field.name)).toEqual(['size', 'name'])
    await client.database.insert(table, files(10))
    expect((await client.database.projectionStats(table, 'p')).numRows).toBe(10n)
    expect(await columnsOf(client.database.select(table, { columns: ['name'], where: [eq('size', 4n)], projection: 'p' }))).toEqual([
      ['file-4'],
    ])
    await client.database.renameProjection(table, 'p', 'q')
    await client.database.dropProjection(table, 'q')
    expect(await client.database.listProjections(table)).toEqual([])
  })

  test('tables and schemas are renamed, listed and dropped', async () => {
    await client.database.createSchema('old')
    await client.database.createSchema('old/inner')
    await client.database.renameSchema('old/inner', 'old/new')
    expect((await client.database.listSchemas({ parent: 'old' })).map(({ name }) => name)).toEqual(['new'])
    const table = await client.database.createTable({ schema: 'old/new', table: 'a' }, fields)
    await client.database.renameTable(table, { schema: 'old/new', table: 'z' })
    expect((await client.database.listTables('old/new')).map(({ name }) => name)).toEqual(['z'])
    await expect(client.database.dropSchema('old/new')).rejects.toBeInstanceOf(Conflict)
    await client.database.dropTable({ schema: 'old/new', table: 'z' })
    await expect(client.database.table({ schema: 'old/new', table: 'z' })).rejects.toBeInstanceOf(NotFound)
  })
})

describe('faults', () => {
  test('a query whose connection is cut at every tenth frame still gives each row once', async () => {
    const table = await created('cut')
    await client.database.insert(table, files(5000))
    for (let frame = 0; frame < 50; frame += 10) {
      emulator.faults.add(
        { kind: 'drop-at-frame', command: 'data', frame, bytes: frame },
        { kind: 'drop-at-frame', command: 'data', frame: frame + 3 },
      )
      const [sizes = []] = await columnsOf(client.database.select(table, { columns: ['size', 'name'], splits: 1, subsplits: 1 }))
      expect(sizes.length).toBe(5000)
      expect(new Set(sizes).size).toBe(5000)
    }
    expect(emulator.faults.pending).toEqual([])
  })

  test('a commit whose answer is lost is uncertain, and was applied', async () => {
    const table = await created('uncertain')
    emulator.faults.add({ kind: 'lost-answer', command: 'transaction', method: 'PUT' })
    await expect(client.transaction((tx) => tx.insert(table, files(2)))).rejects.toBeInstanceOf(CommitUncertain)
    expect(await client.database.count(table)).toBe(2)
  })

  test('the failed marker ends a query with its code', async () => {
    const table = await created('failing')
    await client.database.insert(table, files(10))
    emulator.faults.add({ kind: 'failed-marker', command: 'data', frame: 1, code: 42 })
    await expect(client.database.count(table)).rejects.toMatchObject({ name: 'QueryFailed', code: '42' })
  })
})

describe('wrong keys', () => {
  test('are refused at connect', async () => {
    const connecting = VastClient.connect({ endpoints: [emulator.url], accessKey: 'test', secretKey: 'wrong', bucket: 'b' })
    await expect(connecting).rejects.toMatchObject({ name: 'Forbidden', status: 403 })
  })
})
