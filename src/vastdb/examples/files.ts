// Creates a table, fills it, asks it, and removes it again.
//   VAST_ENDPOINT=http://localhost:8080 VAST_ACCESS_KEY=test VAST_SECRET_KEY=test VAST_BUCKET=tams bun run src/vastdb/examples/files.ts
import { Field, Int64, Utf8 } from 'apache-arrow'
import { batchOfRows, columnValues, eq, ge, ROW_ID, startsWith, VastClient } from '../index.ts'

const { VAST_ENDPOINT = 'http://localhost:8080', VAST_ACCESS_KEY = 'test', VAST_SECRET_KEY = 'test', VAST_BUCKET = 'tams' } = process.env

const client = await VastClient.connect({
  endpoints: VAST_ENDPOINT.split(','),
  accessKey: VAST_ACCESS_KEY,
  secretKey: VAST_SECRET_KEY,
  bucket: VAST_BUCKET,
  onWarning: (message, error) => console.warn(message, error),
})
console.log(`connected to VAST ${client.version.join('.')}`)

const schema = `example-${Date.now()}`
const name = { schema, table: 'files' }
const fields = [new Field('name', new Utf8(), true), new Field('size', new Int64(), true)]

const table = await client.transaction(async (tx) => {
  await tx.createSchema(schema)
  const created = await tx.createTable(name, fields)
  const ids = await tx.insert(
    created,
    batchOfRows(
      fields,
      Array.from({ length: 1000 }, (_, i) => ({ name: `file-${i}`, size: BigInt(i) })),
    ),
  )
  console.log(`inserted ${ids.length} rows, the first has id ${ids[0]}`)
  return created
})

for await (const batch of client.database.select(table, {
  columns: ['name', 'size'],
  where: [startsWith('name', 'file-99'), ge('size', 995n)],
}))
  console.log(batch.data.children.map((column) => columnValues(column)))

await client.transaction(async (tx) => {
  for await (const batch of tx.select(table, { columns: [ROW_ID], where: [eq('name', 'file-0')] })) {
    const ids = batch.data.children.flatMap((column) => columnValues(column)).filter((id) => typeof id === 'bigint')
    await tx.delete(table, ids)
  }
})
console.log(`${await client.database.count(table)} rows are left`)

await client.transaction(async (tx) => {
  await tx.dropTable(name)
  await tx.dropSchema(schema)
})
client.close()
