import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Field, Int64, Utf8 } from 'apache-arrow'
import { everything } from '../../../src/core/predicate.ts'
import { type Table, type TableName, tables } from '../../../src/storage/schema.ts'
import { SCHEMA_VERSION } from '../../../src/storage/schema-version.ts'
import { Hints } from '../../../src/storage/vast/hints.ts'
import { openEngine } from '../../../src/storage/vast/open-engine.ts'
import { VastReadTx } from '../../../src/storage/vast/read-tx.ts'
import { SnapshotSource } from '../../../src/storage/vast/snapshot-source.ts'
import { batchOfRows, eq as cellIs, columnValues, VastClient } from '../../../src/vastdb/index.ts'
import { flowRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { access, insertRows, LOCK_SLOTS } from './cluster.ts'

const NAMES = Object.keys(tables) as TableName[]
let emulator: Emulator
let client: VastClient
beforeAll(async () => {
  emulator = await startEmulator()
  client = await VastClient.connect(access(emulator))
})
afterAll(async () => {
  client.close()
  await emulator.close()
})

/** Opens, looks, closes. */
const opened = async <T>(
  schema: string,
  look: (engine: Awaited<ReturnType<typeof openEngine>>, tx: VastReadTx) => Promise<T> | T,
  at = emulator,
) => {
  const engine = await openEngine({ ...access(at), schema })
  try {
    return await look(engine, new VastReadTx(new SnapshotSource(engine, engine.client.database), new Hints()))
  } finally {
    engine.client.close()
  }
}

const versions = (tx: VastReadTx) => tx.list('meta', { where: everything, limit: 9 })

describe('opening an empty schema', () => {
  test('makes every table, sorted by its key, with the lock rows and the versions', async () => {
    await opened('new', async (engine, tx) => {
      for (const name of NAMES) {
        const { key, columns }: Table = tables[name]
        const made = await client.database.table({ schema: 'new', table: name })
        expect(made.sortedColumns).toEqual([...key])
        expect(made.fields.map((field) => `${field.name} ${field.type}`)).toEqual(
          Object.entries(columns).map(([column, { arrow }]) => `${column} ${arrow}`),
        )
        expect(engine.handle(name).fields.map((field) => field.name)).toEqual(Object.keys(columns))
      }
      expect(await tx.count('locks', everything)).toBe(LOCK_SLOTS)
      expect((await versions(tx)).rows).toEqual([
        { name: 'lock_slots', value: String(LOCK_SLOTS) },
        { name: 'min_reader_version', value: '1' },
        { name: 'schema_version', value: String(SCHEMA_VERSION) },
      ])
    })
    expect(await client.database.listProjections({ schema: 'new', table: 'segments' })).toEqual([])
  })

  test('again changes nothing', async () => {
    await opened('new', async (engine, tx) => {
      expect(engine.handle('flows').sortedColumns).toEqual(['id', 'deletion_id'])
      expect(await tx.count('locks', everything)).toBe(LOCK_SLOTS)
      expect(await tx.count('meta', everything)).toBe(3)
    })
  })

  test('keeps its number of lock rows, whatever the program that opens it would make', async () => {
    const engine = await openEngine({ ...access(emulator), schema: 'new', lockSlots: 4 * LOCK_SLOTS })
    expect(engine.lockSlots).toBe(LOCK_SLOTS)
    engine.client.close()
  })

  test('that was made before the number was written down keeps as many lock rows as there are', async () => {
    const options = { ...access(emulator), schema: 'older', lockSlots: 16 }
    const made = await openEngine(options)
    const meta = made.handle('meta')
    for await (const batch of made.client.database.select(meta, { columns: ['$row_id'], where: [cellIs('name', 'lock_slots')] }))
      await made.client.database.delete(meta, batch.data.children.flatMap(columnValues) as bigint[])
    made.client.close()
    const engine = await openEngine({ ...options, lockSlots: 1024 })
    expect(engine.lockSlots).toBe(16)
    engine.client.close()
  })

  test('inside other schemas makes those too', async () => {
    await opened('outer/inner', async (engine) => {
      expect((await client.database.listTables('outer/inner')).map(({ name }) => name).toSorted()).toEqual(NAMES.toSorted())
      expect(engine.schema).toBe('outer/inner')
    })
  })

  test('by several programs at once makes everything once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => opened('crowded', () => undefined)))
    await opened('crowded', async (_, tx) => expect(await tx.count('locks', everything)).toBe(LOCK_SLOTS))
  })

  test('leaves nothing behind when it fails half-way', async () => {
    emulator.faults.add({ kind: 'error', status: 500, code: 'InternalError', method: 'POST', command: 'table', skip: 5 })
    await expect(opened('half', () => undefined)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await client.database.findSchema('half')).toBeUndefined()
  })
})

test('tables that are not ours are refused by name, and left alone', async () => {
  await client.database.createSchema('shared')
  for (const table of ['zebras', 'apes']) await client.database.createTable({ schema: 'shared', table }, [new Field('x', new Utf8(), true)])
  await expect(opened('shared', () => undefined)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('apes, zebras'),
  })
  expect((await client.database.listTables('shared')).map(({ name }) => name).toSorted()).toEqual(['apes', 'zebras'])
})

test('a store that a newer program has closed to this one is refused; one that it left open is not, and keeps its version', async () => {
  for (const [schema, needed] of [
    ['newer', SCHEMA_VERSION + 1],
    ['open', SCHEMA_VERSION],
  ] as const) {
    await client.database.createSchema(schema)
    const fields = ['name', 'value'].map((name) => new Field(name, new Utf8(), true))
    const meta = await client.database.createTable({ schema, table: 'meta' }, fields, { sortedColumns: ['name'] })
    const rows = [
      { name: 'schema_version', value: '999' },
      { name: 'min_reader_version', value: String(needed) },
    ]
    await client.database.insert(meta, batchOfRows(fields, rows))
  }
  await expect(opened('newer', () => undefined)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('999') })
  expect((await client.database.listTables('newer')).map(({ name }) => name)).toEqual(['meta'])
  await opened('open', async (_, tx) => expect((await tx.find('meta', ['schema_version']))?.value).toBe('999'))
})

describe('an older schema', () => {
  const older = async (
    schema: string,
    table: TableName,
    change: (fields: Field[]) => Field[],
    key: readonly string[] = tables[table].key,
  ) => {
    await client.database.createSchema(schema)
    const fields = Object.entries((tables[table] as Table).columns).map(([name, { arrow }]) => new Field(name, arrow, true))
    return client.database.createTable({ schema, table }, change(fields), { sortedColumns: key })
  }
  const without = (name: string) => (fields: Field[]) => fields.filter((field) => field.name !== name)

  test('gets the columns that are missing; rows that are there read as null in them', async () => {
    await older('added', 'flows', without('hidden'))
    const table = await client.database.table({ schema: 'added', table: 'flows' })
    const row = { ...flowRow('f'), hidden: undefined }
    await client.database.insert(table, batchOfRows([...table.fields], [row]))
    await opened('added', async (engine, tx) => {
      expect(await tx.find('flows', ['f', ''])).toStrictEqual(flowRow('f'))
      await insertRows(engine, 'flows', [flowRow('g', { hidden: '[]' })])
      expect((await tx.find('flows', ['g', '']))?.hidden).toBe('[]')
    })
  })

  test.each([
    [
      'a column that must have a value',
      'required',
      () => older('required', 'flows', without('metadata_version')),
      'flows has no column metadata_version',
    ],
    ['another key', 'rekeyed', () => older('rekeyed', 'flows', (fields) => fields, ['id']), 'sorted by (id)'],
    [
      'another type',
      'retyped',
      () =>
        older('retyped', 'flows', (fields) =>
          fields.map((field) => (field.name === 'label' ? new Field('label', new Int64(), true) : field)),
        ),
      'flows.label is Int64',
    ],
  ])('with %s is refused', async (_, schema, make, message) => {
    await make()
    await expect(opened(schema, () => undefined)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(message) })
  })
})

describe('a cluster', () => {
  test('without sorted tables gets projections, and serves the same', async () => {
    const old = await startEmulator({ version: '5.2.0.10' })
    try {
      await opened(
        'tams',
        async (engine, tx) => {
          expect(engine.handle('segments').sortedColumns).toEqual([])
          const projections = await engine.client.database.listProjections({ schema: 'tams', table: 'segments' })
          expect(projections.map(({ name }) => name)).toEqual(['by_key', 'by_object'])
          await insertRows(engine, 'flows', [flowRow('f')])
          expect(await tx.find('flows', ['f', ''])).toStrictEqual(flowRow('f'))
        },
        old,
      )
      await opened('tams', (engine) => expect(engine.handle('flows').rowIds).toBe('plain'), old)
    } finally {
      await old.close()
    }
  })

  test('with sorted tables gets those of the schema when they are asked for', async () => {
    const engine = await openEngine({ ...access(emulator), schema: 'projected', enableProjections: true })
    engine.client.close()
    const projections = await client.database.listProjections({ schema: 'projected', table: 'segments' })
    expect(projections.map(({ name }) => name)).toEqual(['by_object'])
  })

  test.each([
    ['wrong keys', { secretKey: 'wrong' }],
    ['no such bucket', { bucket: 'absent' }],
    ['nobody there', { endpoints: ['http://127.0.0.1:1'] }],
  ])('that cannot be used is unavailable: %s', async (_, wrong) => {
    const tools = { now: () => 0, random: () => 0, sleep: () => Promise.resolve() }
    await expect(openEngine({ ...access(emulator), schema: 'x', tools, ...wrong })).rejects.toMatchObject({ code: 'unavailable' })
  })
})
