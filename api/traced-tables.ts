import type { Tables } from '../src/storage/tables.ts'
import type { Traces } from '../src/telemetry/traces.ts'

/** The same tables, with a span for each transaction of a request: from its wish for one until it is durable. */
export const tracedTables = (tables: Tables, traces: Traces, system: 'sqlite' | 'vast'): Tables => ({
  read: (work) => traces.within('database read', { 'db.system.name': system }, () => tables.read(work)),
  write: (work) => traces.within('database write', { 'db.system.name': system }, () => tables.write(work)),
  version: (table) => tables.version(table),
  ...(tables.watch && { watch: tables.watch }),
  check: (signal) => tables.check(signal),
  close: () => tables.close(),
})
