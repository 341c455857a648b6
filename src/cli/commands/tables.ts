import type { Command } from 'commander'
import { type Config, readConfig } from '../../config.ts'
import { systemClock } from '../../core/clock.ts'
import { everything } from '../../core/predicate.ts'
import { type Table, type TableName, tables } from '../../storage/schema.ts'
import type { SchemaStatus, TableStatus, VastAdmin } from '../../vast-admin.ts'
import { say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly json: boolean
}

const EXAMPLES = `
The store is the one that the environment names (see "tams config"); a service may be running on it. Projections are copies of some
columns in another order, which a VAST cluster keeps by itself: they make look-ups by these columns quick, and cost space and writes.

Examples:
  tams tables status
  tams tables create
  tams tables projections status --json
  tams tables projections enable
  tams tables projections disable`

export const tablesCommand = (program: Command): void => {
  const command = program.command('tables').description('look after the tables of the metadata store').addHelpText('after', EXAMPLES)
  command
    .command('status', { isDefault: true })
    .description('rows, bytes, columns and projections of each table (what "tables" alone does)')
    .option('--json', 'print JSON', false)
    .action(status)
  command.command('create').description('make the tables that are missing, and the columns that are missing in others').action(create)
  const projections = command.command('projections').description('projections of the tables on a VAST cluster')
  projections
    .command('status', { isDefault: true })
    .description('which are wanted, which are there')
    .option('--json', 'print JSON', false)
    .action(projectionStatus)
  projections.command('enable').description('make those that are wanted and missing').action(enable)
  projections.command('disable').description('drop them').action(disable)
  for (const each of [...command.commands, ...projections.commands]) each.addHelpText('after', EXAMPLES)
}

const NOT_ON_SQLITE = 'the store is SQLite: its indexes take the place of projections and are made with the tables'

const status = async ({ json }: Flags): Promise<void> => {
  const config = readConfig(process.env)
  if (!config.vast) return embeddedStatus(config, json)
  const found = await onCluster(config, (admin) => admin.status())
  if (found) printStatus(found, json)
}

const printStatus = (found: SchemaStatus, json: boolean): void => {
  if (json) {
    printJson(found)
    return
  }
  const titles = ['TABLE', 'ROWS', 'BYTES', 'COLUMNS', 'SORTED BY', 'PROJECTIONS']
  console.log(formatTable(titles, found.tables.map(cellsOf)))
  if (found.missing.length > 0)
    say(`not there yet ("tams tables create", or the start of the service, makes them): ${found.missing.join(', ')}`)
  if (found.foreign.length > 0) say(`not ours (the service refuses to start beside them): ${found.foreign.join(', ')}`)
}

const cellsOf = ({ table, rows, bytes, columns, missingColumns, sortedBy, projections }: TableStatus): string[] => [
  table,
  String(rows),
  String(bytes),
  missingColumns.length > 0 ? `${columns} (without ${missingColumns.join(', ')})` : String(columns),
  sortedBy.join(', '),
  projections.map(({ name, wanted, present }) => `${name} ${stateOf(wanted, present)}`).join(', '),
]

const stateOf = (wanted: boolean, present: boolean): string => (present ? (wanted ? 'present' : 'not ours') : 'missing')

/** Counting is what SQLite can say of its rows; bytes it knows only of the whole file. */
const embeddedStatus = async (config: Config, json: boolean): Promise<void> => {
  const { openTables } = await import('../../open-stores.ts')
  const { tables: store } = await openTables(config, systemClock())
  try {
    const found = await store.read(async (tx) => {
      const all: { readonly table: string; readonly rows: number; readonly columns: number; readonly indexes: number }[] = []
      for (const [table, { columns, indexes }] of Object.entries<Table>(tables))
        all.push({
          table,
          rows: await tx.count(table as TableName, everything),
          columns: Object.keys(columns).length,
          indexes: indexes.length,
        })
      return all
    })
    if (json) return printJson({ tables: found })
    const titles = ['TABLE', 'ROWS', 'COLUMNS', 'INDEXES']
    console.log(
      formatTable(
        titles,
        found.map(({ table, rows, columns, indexes }) => [table, String(rows), String(columns), String(indexes)]),
      ),
    )
    say(NOT_ON_SQLITE)
  } finally {
    await store.close()
  }
}

const create = async (): Promise<void> => {
  const config = readConfig(process.env)
  const { openTables } = await import('../../open-stores.ts')
  const { tables: store } = await openTables(config, systemClock())
  await store.close()
  const where = config.vast ? `the schema ${config.vast.schema} of the bucket ${config.vast.bucket}` : config.dataDir
  console.log(`all ${Object.keys(tables).length} tables are there, in ${where}`)
}

const projectionStatus = async ({ json }: Flags): Promise<void> => {
  const found = await onCluster(readConfig(process.env), (admin) => admin.status())
  if (!found) return
  const rows = found.tables.flatMap(({ table, projections }) => projections.map((projection) => ({ table, ...projection })))
  if (json) return printJson(rows)
  console.log(
    formatTable(
      ['TABLE', 'PROJECTION', 'STATE'],
      rows.map(({ table, name, wanted, present }) => [table, name, stateOf(wanted, present)]),
    ),
  )
}

const enable = async (): Promise<void> => {
  const made = await onCluster(readConfig(process.env), (admin) => admin.enableProjections())
  if (made) console.log(made.length > 0 ? `made: ${made.join(', ')}` : 'nothing to do: all that are wanted are there')
}

const disable = async (): Promise<void> => {
  const dropped = await onCluster(readConfig(process.env), (admin) => admin.disableProjections())
  if (dropped) console.log(dropped.length > 0 ? `dropped: ${dropped.join(', ')}` : 'nothing to do: none is there')
}

/** Gives undefined, and says why, where there is no cluster. */
const onCluster = async <T>({ vast }: Config, work: (admin: VastAdmin) => Promise<T>): Promise<T | undefined> => {
  if (!vast) {
    say(NOT_ON_SQLITE)
    return undefined
  }
  const { openVastAdmin } = await import('../../vast-admin.ts')
  const admin = await openVastAdmin(vast)
  try {
    return await work(admin)
  } finally {
    admin.close()
  }
}

const printJson = (value: unknown): void =>
  console.log(JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? Number(member) : member), 2))
