import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { everything } from '../../../src/core/predicate.ts'
import { SCHEMA_VERSION } from '../../../src/storage/schema-version.ts'
import { deliveryRow, flowRow } from '../../contract/table-rows.ts'
import { temporaryStores } from './support.ts'

const stores = temporaryStores()

const change = (...statements: readonly string[]): void => {
  const db = new Database(stores.file(), { create: true })
  for (const statement of statements) db.run(statement)
  db.close()
}

test('missing tables, columns and indexes are added, and rows are kept', async () => {
  const first = await stores.open()
  await first.write((tx) => tx.insert('deliveries', [deliveryRow('a', { status: 'done', error: 'x' })]))
  await first.close()
  change(
    'drop table profiles',
    'drop index ix_deliveries__status__next_attempt',
    'alter table deliveries drop column error',
    'alter table deliveries drop column attempts',
  )
  const tables = await stores.open()
  await tables.read(async (tx) => {
    expect(await tx.find('deliveries', ['a'])).toEqual(deliveryRow('a', { status: 'done', error: null, attempts: 0 }))
    expect(await tx.count('profiles', everything)).toBe(0)
  })
  expect(tables.connection.rows("select name from sqlite_schema where name = 'ix_deliveries__status__next_attempt'")).toHaveLength(1)
})

test('a store with more columns than this program knows is used as long as it allows that', async () => {
  await (await stores.open()).close()
  change('alter table flows add column future text', "update meta set value = '999' where name = 'schema_version'")
  const tables = await stores.open()
  await tables.write((tx) => tx.insert('flows', [flowRow('f')]))
  expect(await tables.read((tx) => tx.find('flows', ['f', '']))).toEqual(flowRow('f'))
  expect((await tables.read((tx) => tx.find('meta', ['schema_version'])))?.value).toBe('999')
})

test('a store that needs a newer program is refused, with both versions in the message', async () => {
  await (await stores.open()).close()
  change("update meta set value = '998' where name = 'min_reader_version'", "update meta set value = '999' where name = 'schema_version'")
  const refused = stores.open({ exclusive: true })
  await expect(refused).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringMatching(new RegExp(`999.*998.*version ${SCHEMA_VERSION}`)),
  })
  change("update meta set value = '1' where name = 'min_reader_version'")
  await stores.open({ exclusive: true })
})

test('a table whose key is another one is refused', async () => {
  change('create table profiles (id text, label text, primary key (label, id)) without rowid')
  await expect(stores.open()).rejects.toThrow('profiles')
})

test('a file that is no database is refused', async () => {
  await Bun.write(stores.file(), 'something else entirely, and long enough to be looked at')
  await expect(stores.open()).rejects.toThrow('not a database')
})
