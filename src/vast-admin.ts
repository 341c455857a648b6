// What an operator sees and changes of the tables on a cluster, without opening them for service.
import type { VastConfig } from './config.ts'
import { connectVast, explained } from './open-vast.ts'
import { type Table, type TableName, tables } from './storage/schema.ts'
import { wantedProjections } from './storage/vast/index.ts'
import { hasFeature, NotFound, type ObjectDetails, type VastClient } from './vastdb/index.ts'

export interface ProjectionStatus {
  readonly name: string
  /** The schema has it. */
  readonly wanted: boolean
  /** The cluster has it. */
  readonly present: boolean
}

export interface TableStatus {
  readonly table: string
  readonly rows: bigint
  readonly bytes: bigint
  readonly sortedBy: readonly string[]
  readonly columns: number
  /** Columns that the next start adds. */
  readonly missingColumns: readonly string[]
  readonly projections: readonly ProjectionStatus[]
}

export interface SchemaStatus {
  readonly tables: readonly TableStatus[]
  /** Tables of ours that are not there. */
  readonly missing: readonly string[]
  /** Tables that are not ours: the service refuses to start beside them. */
  readonly foreign: readonly string[]
}

export interface VastAdmin {
  status(): Promise<SchemaStatus>
  /** Makes the projections that are wanted and missing; gives `table.projection` of each. */
  enableProjections(): Promise<readonly string[]>
  /** Drops those of ours that are there. */
  disableProjections(): Promise<readonly string[]>
  close(): void
}

/** Connects with what the environment says. Failures name the variable at fault. */
export const openVastAdmin = async (vast: VastConfig): Promise<VastAdmin> => {
  const client = await connectVast(vast)
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw explained(error, vast)
    }
  }
  const each = (work: (table: TableName, projection: Wanted, present: boolean) => Promise<boolean>): Promise<readonly string[]> =>
    told(async () => {
      const changed: string[] = []
      for (const table of await ownTables(client, vast.schema)) {
        const present = (await client.database.listProjections({ schema: vast.schema, table })).map(({ name }) => name)
        for (const projection of wantedOn(client, table))
          if (await work(table, projection, present.includes(projection.name))) changed.push(`${table}.${projection.name}`)
      }
      return changed
    })
  return {
    status: () => told(() => statusOf(client, vast.schema)),
    enableProjections: () =>
      each(async (table, { name, ...columns }, present) => {
        if (!present) await client.database.createProjection({ schema: vast.schema, table }, name, columns)
        return !present
      }),
    disableProjections: () =>
      each(async (table, { name }, present) => {
        if (present) await client.database.dropProjection({ schema: vast.schema, table }, name)
        return present
      }),
    close: () => client.close(),
  }
}

type Wanted = ReturnType<typeof wantedProjections>[number]

const wantedOn = (client: VastClient, table: TableName): readonly Wanted[] =>
  wantedProjections(table, hasFeature(client.version, 'sorted tables'))

const listed = (client: VastClient, schema: string): Promise<readonly ObjectDetails[]> =>
  client.database.listTables(schema, { stats: true }).catch((error: unknown) => {
    if (error instanceof NotFound) return []
    throw error
  })

const isOurs = (name: string): name is TableName => Object.hasOwn(tables, name)

const ownTables = async (client: VastClient, schema: string): Promise<readonly TableName[]> =>
  (await listed(client, schema)).map(({ name }) => name).filter(isOurs)

const statusOf = async (client: VastClient, schema: string): Promise<SchemaStatus> => {
  const entries = await listed(client, schema)
  const names = entries.map(({ name }) => name)
  return {
    tables: await Promise.all(entries.flatMap((entry) => (isOurs(entry.name) ? [statusOfTable(client, schema, entry.name, entry)] : []))),
    missing: Object.keys(tables).filter((name) => !names.includes(name)),
    foreign: names.filter((name) => !isOurs(name)),
  }
}

const statusOfTable = async (client: VastClient, schema: string, table: TableName, details: ObjectDetails): Promise<TableStatus> => {
  const [handle, found] = await Promise.all([client.database.table({ schema, table }), client.database.listProjections({ schema, table })])
  const wanted = new Set(wantedOn(client, table).map(({ name }) => name))
  const present = new Set(found.map(({ name }) => name))
  const known = new Set(handle.fields.map(({ name }) => name))
  return {
    table,
    rows: details.numRows ?? 0n,
    bytes: details.sizeInBytes ?? 0n,
    sortedBy: handle.sortedColumns,
    columns: known.size,
    missingColumns: Object.keys((tables[table] as Table).columns).filter((column) => !known.has(column)),
    projections: [...wanted.union(present)].map((name) => ({ name, wanted: wanted.has(name), present: present.has(name) })),
  }
}
