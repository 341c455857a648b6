import { afterAll, beforeAll } from 'bun:test'
import { openVastTables } from '../../../src/storage/vast/index.ts'
import { tablesContract } from '../../contract/tables.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.close())

let stores = 0
tablesContract('VAST', {
  open: (options = {}) =>
    openVastTables({
      endpoints: [emulator.url],
      accessKey: 'test',
      secretKey: 'test',
      bucket: 'tams',
      schema: `store-${stores++}`,
      ...options,
    }),
  detectsForeignWaits: false,
})
