// Another program on the same file, for the tests of this folder: bun process.ts FILE MODE [N]
import { openSqliteTables } from '../../../src/storage/sqlite/index.ts'
import { deliveryRow, logEntry } from '../../contract/table-rows.ts'

const [, , file = '', mode = '', count = '0'] = process.argv
const tables = await openSqliteTables({ file, exclusive: mode === 'serve' })

if (mode === 'serve') {
  console.log('serving')
  setInterval(() => {}, 1000)
} else {
  const writes = Array.from({ length: Number(count) }, (_, i) => async () => {
    await tables.write(async (tx) => {
      await tx.insert('deliveries', [deliveryRow(`other-${i}`)])
      await tx.append([logEntry('other')])
    })
  })
  // Some alone and some together, so that both processes begin many transactions.
  for (let i = 0; i < writes.length; i += 1 + (i % 5)) await Promise.all(writes.slice(i, i + 1 + (i % 5)).map((write) => write()))
  await tables.close()
}
