import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Field } from 'apache-arrow'
import type { VastConfig } from '../src/config.ts'
import { tables } from '../src/storage/schema.ts'
import { openVastAdmin, type VastAdmin } from '../src/vast-admin.ts'
import { batchOf, VastClient } from '../src/vastdb/index.ts'
import { type Emulator, startEmulator } from './emulators/vast/index.ts'

let emulator: Emulator
let client: VastClient
let admin: VastAdmin

const fieldsOf = (table: keyof typeof tables) =>
  Object.entries(tables[table].columns).map(([name, { arrow }]) => new Field(name, arrow, true))

beforeAll(async () => {
  emulator = await startEmulator({ buckets: ['admin'] })
  const keys = { endpoints: [emulator.url], accessKey: 'test', secretKey: 'test', bucket: 'admin' }
  client = await VastClient.connect(keys)
  const vast: VastConfig = { ...keys, schema: 'tams', sslVerify: true, timeoutMs: 5000, singleWriter: false, enableProjections: undefined }
  admin = await openVastAdmin(vast)
})
afterAll(async () => {
  admin.close()
  client.close()
  await emulator.close()
})

describe('the tables of a cluster', () => {
  test('are all missing where there is no schema', async () => {
    expect(await admin.status()).toEqual({ tables: [], missing: Object.keys(tables), foreign: [] })
    expect(await admin.enableProjections()).toEqual([])
  })

  test('are told with rows, order, what is missing and what is not ours', async () => {
    await client.database.createSchema('tams')
    const columns = fieldsOf('tags').slice(0, 6)
    const table = await client.database.createTable({ schema: 'tams', table: 'tags' }, columns, {
      sortedColumns: ['entity_type', 'entity_id'],
    })
    await client.database.createTable({ schema: 'tams', table: 'theirs' }, columns)
    const cells = columns.map(({ name }) => (name === 'position' ? [1, 2] : ['a', 'b']))
    await client.database.insert(table, batchOf(columns, cells))
    const { tables: found, missing, foreign } = await admin.status()
    expect(found).toEqual([
      {
        table: 'tags',
        rows: 2n,
        bytes: expect.any(BigInt),
        sortedBy: ['entity_type', 'entity_id'],
        columns: 6,
        missingColumns: ['value', 'empty_list'],
        projections: [{ name: 'by_value', wanted: true, present: false }],
      },
    ])
    expect(missing).toEqual(Object.keys(tables).filter((name) => name !== 'tags'))
    expect(foreign).toEqual(['theirs'])
  })

  test('get the projections that are wanted, once, and lose them again; those of others stay', async () => {
    await client.database.addColumns({ schema: 'tams', table: 'tags' }, fieldsOf('tags').slice(6))
    await client.database.createTable({ schema: 'tams', table: 'segments' }, fieldsOf('segments'))
    await client.database.createProjection({ schema: 'tams', table: 'segments' }, 'mine', { sorted: ['created'], unsorted: [] })
    expect(await admin.enableProjections()).toContain('segments.by_object')
    expect(await admin.enableProjections()).toEqual([])
    const made = await client.database.projectionColumns({ schema: 'tams', table: 'segments' }, 'by_object')
    expect(made.map(({ name }) => name)).toEqual(['object_id', 'flow_id', 'timeline_id', 'start_ns'])
    const segments = async () => (await admin.status()).tables.find(({ table }) => table === 'segments')?.projections
    expect(await segments()).toEqual([
      { name: 'by_object', wanted: true, present: true },
      { name: 'mine', wanted: false, present: true },
    ])
    expect(await admin.disableProjections()).toContain('segments.by_object')
    expect(await segments()).toEqual([
      { name: 'by_object', wanted: true, present: false },
      { name: 'mine', wanted: false, present: true },
    ])
  })
})
