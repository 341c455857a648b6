import { afterAll, beforeAll } from 'bun:test'
import { openVastTables } from '../../../src/storage/vast/index.ts'
import { tablesContract } from '../../contract/tables.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { access } from './cluster.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(() => emulator.close())

let stores = 0
tablesContract('VAST', {
  open: (options = {}) => openVastTables({ ...access(emulator), schema: `store-${stores++}`, ...options }),
  detectsForeignWaits: false,
})
