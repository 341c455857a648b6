import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Field, Utf8 } from 'apache-arrow'
import { batchOf } from '../../../src/vastdb/wire/build.ts'
import { encodeCreateProjection } from '../../../src/vastdb/wire/control.ts'
import { encodeSchemaMessage } from '../../../src/vastdb/wire/ipc.ts'
import { decodeList } from '../../../src/vastdb/wire/listing.ts'
import { eq } from '../../../src/vastdb/wire/predicate.ts'
import { rowIdField } from '../../../src/vastdb/wire/row-id.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { everyType } from '../support/types.ts'
import { Probe, rowsOf } from './support.ts'

let data: string
let emulator: Emulator
let probe: Probe

const start = async () => {
  emulator = await startEmulator({ data })
  probe = new Probe(emulator)
}
const restart = async () => {
  probe.close()
  await emulator.close()
  await start()
}

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'vast-emulator-'))
  await start()
  await probe.createSchema()
  await probe.createTable('t')
})
afterEach(async () => {
  probe.close()
  await emulator.close()
  await rm(data, { recursive: true })
})

describe('after a restart', () => {
  test('what was committed is there, and nothing else', async () => {
    await probe.insert([
      ['a', 1n],
      ['b', 2n],
      ['c', null],
    ])
    await probe.update([0n], [10n])
    await probe.update([0n, 2n], [11n, 30n])
    await probe.delete([1n])
    const open = await probe.begin()
    await probe.insert([['lost', 0n]], open)
    await restart()
    expect(await probe.select()).toEqual([
      ['a', 11n],
      ['c', 30n],
    ])
    expect((await probe.commit(open)).status).toBe(404)
  })

  test('row ids and transaction ids go on, they are not given out again', async () => {
    expect(await probe.insert([['a', 1n]])).toEqual([0n])
    const before = BigInt(await probe.begin())
    await probe.insert([['b', 2n]])
    await restart()
    expect(await probe.insert([['c', 3n]])).toEqual([2n])
    expect(BigInt(await probe.begin())).toBeGreaterThan(before)
  })

  test('columns, sorting keys, projections and renamed tables are as they were', async () => {
    await probe.createTable('sorted', { sorted: [1] })
    await probe.insert([['a', 1n]], undefined, 'sorted')
    await probe.send('POST', probe.at('t', 'projection', { name: 'p' }), { body: encodeCreateProjection([{ name: 'id', sorted: true }]) })
    const more = new Field('more', new Utf8(), true)
    await probe.send('POST', probe.at('t', 'column'), { body: encodeSchemaMessage(batchOf([more], [[]]).schema) })
    await probe.insert([['x', 5n]])
    await restart()
    const tables = decodeList('tables', (await probe.send('GET', { bucket: 'tams', schema: 's', command: 'table' })).body)
    expect(tables.entries.map(({ name, sortingKeyEnabled }) => [name, sortingKeyEnabled])).toEqual([
      ['t', false],
      ['sorted', true],
    ])
    const projections = decodeList('projections', (await probe.send('GET', probe.at('t', 'projection'))).body)
    expect(projections.entries.map(({ name }) => name)).toEqual(['p'])
    expect(await probe.select({ table: 'sorted', where: [eq('start', 1n)], rowIds: 'wide' })).toEqual([['a', 1n]])
    expect(await probe.select()).toEqual([['x', 5n]])
  })

  test('every type is as it was, inserted and updated', async () => {
    const fields = everyType.map(([field]) => field)
    const batch = batchOf(
      fields,
      everyType.map(([, values]) => values),
    )
    const select = () => probe.select({ table: 'types', fields, columns: fields.map(({ name }) => name) })
    await probe.createTable('types', { fields })
    await probe.rows('POST', batch, undefined, 'types')
    await probe.rows('POST', batch, undefined, 'types')
    const rows = rowsOf(batch)
    // The second half gets the values of the first in reverse.
    const ids = rows.map((_, i) => BigInt(rows.length + i))
    const reversed = fields.map((_, column) => rows.map((_row, i) => rows[rows.length - 1 - i]?.[column] ?? null))
    expect((await probe.rows('PUT', batchOf([rowIdField('plain'), ...fields], [ids, ...reversed]), undefined, 'types')).status).toBe(200)
    const before = await select()
    await restart()
    expect(await select()).toEqual(before)
    expect(before).toEqual([...rows, ...rows.toReversed()])
  })

  test('the rows of a dropped table take no space', async () => {
    await probe.insert([['a', 1n]])
    await probe.update([0n], [2n])
    await probe.send('DELETE', probe.at('t', 'table'))
    probe.close()
    await emulator.close()
    const database = new Database(join(data, 'vast-emulator.sqlite'), { readonly: true })
    const left = ['chunks', 'changes'].map((table) => database.query(`select * from ${table}`).all().length)
    database.close()
    await start()
    expect(left).toEqual([0, 0])
  })

  test('many small commits are all there', async () => {
    for (let i = 0; i < 130; i++) await probe.insert([['a', BigInt(i)]])
    await restart()
    expect((await probe.select({ columns: ['start'] })).map(([value]) => value)).toEqual(Array.from({ length: 130 }, (_, i) => BigInt(i)))
  })
})
