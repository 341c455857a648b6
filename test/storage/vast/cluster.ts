import type { Row, TableName } from '../../../src/storage/schema.ts'
import { tableFacts } from '../../../src/storage/table-facts.ts'
import type { VastEngine } from '../../../src/storage/vast/engine.ts'
import { type OpenEngineOptions, openEngine } from '../../../src/storage/vast/open-engine.ts'
import { batchOf } from '../../../src/vastdb/index.ts'
import type { Emulator } from '../../emulators/vast/index.ts'

let schemas = 0

/** An engine on a schema of its own. */
export const freshEngine = (emulator: Emulator, options: Partial<OpenEngineOptions> = {}): Promise<VastEngine> =>
  openEngine({ ...access(emulator), schema: `reads-${++schemas}`, ...options })

export const access = (emulator: Emulator) => ({
  endpoints: [emulator.url],
  accessKey: 'test',
  secretKey: 'test',
  bucket: 'tams',
  timeoutMs: 10_000,
  lockSlots: LOCK_SLOTS,
})

/** Few, so that a store is made quickly. */
export const LOCK_SLOTS = 1024

/** Rows as they are, past all rules. */
export const insertRows = async <N extends TableName>(engine: VastEngine, table: N, rows: readonly Row<N>[]): Promise<void> => {
  const handle = engine.handle(table)
  const columns = tableFacts(table).columnNames
  const fields = columns.flatMap((column) => handle.fields.find(({ name }) => name === column) ?? [])
  const cells = columns.map((column) =>
    rows.map((row) => (row as Record<string, string | bigint | number | boolean | null>)[column] ?? null),
  )
  await engine.client.database.insert(handle, batchOf(fields, cells, rows.length))
}
