// Run below `sync-counter.c` by sqlite-sync.test.ts: bun sqlite-sync-program.ts STORE COUNTER
import { readFileSync } from 'node:fs'
import { openSqliteTables } from '../../src/storage/sqlite/index.ts'
import { deliveryRow } from '../contract/table-rows.ts'

const [, , file = '', counter = ''] = process.argv
const syncs = (): number => Number(readFileSync(counter).readBigUInt64LE())
const tables = await openSqliteTables({ file })

const alone: number[] = []
for (let i = 0; i < 20; i++) {
  const before = syncs()
  await tables.write((tx) => tx.insert('deliveries', [deliveryRow(`alone-${i}`)]))
  alone.push(syncs() - before)
}
const before = syncs()
const together = await Promise.all(
  Array.from({ length: 200 }, async (_, i) => {
    await tables.write((tx) => tx.insert('deliveries', [deliveryRow(`together-${i}`)]))
    return syncs() - before
  }),
)
console.log(JSON.stringify({ alone, together }))
await tables.close()
