import { TamsError } from '../../core/errors.ts'
import {
  batchOfRows,
  type ClientOptions,
  Conflict,
  type RetryTools,
  systemTools,
  type Table as TableHandle,
  type Transaction,
  VastClient,
  VastError,
} from '../../vastdb/index.ts'
import type { TableName } from '../schema.ts'
import { refuseNewer, VERSION_ROWS } from '../schema-version.ts'
import { type CatalogOptions, openCatalog } from './catalog.ts'
import { VastEngine } from './engine.ts'
import { LOCK_SLOTS, LOCK_SLOTS_META } from './lock-rows.ts'
import { ROW_ID, type SourceRow } from './row-source.ts'
import { SnapshotSource } from './snapshot-source.ts'
import { translate } from './vast-errors.ts'

export interface OpenEngineOptions {
  /** `http://host:port` of one or more addresses of a cluster. */
  readonly endpoints: readonly string[]
  readonly accessKey: string
  readonly secretKey: string
  readonly bucket: string
  /** Path of the schema; made when missing. */
  readonly schema: string
  /** Whether certificates are checked. Default true. */
  readonly tlsVerify?: boolean | undefined
  /** Longest wait for an answer or its next bytes. Default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Undefined: where the cluster has no sorted tables. */
  readonly enableProjections?: boolean | undefined
  /** Rows of `locks` in a store that is made now; one that is there keeps its number. Default 65,536. */
  readonly lockSlots?: number | undefined
  /** Clock, chance and waiting of retries. */
  readonly tools?: RetryTools | undefined
  readonly log?: ((message: string, detail: Readonly<Record<string, unknown>>) => void) | undefined
  /** Told of every request, for statistics; must not throw. */
  readonly onAnswer?: ClientOptions['onAnswer']
}

const TIMEOUT_MS = 30_000
const MOST_TRIES = 20
const LONGEST_WAIT_MS = 500

/** Connects, and makes or completes our tables. Several programs may do this at a time: they collide, and try again. */
export const openEngine = async (options: OpenEngineOptions): Promise<VastEngine> => {
  const { schema, enableProjections, lockSlots = LOCK_SLOTS, tools = systemTools, log } = options
  const client = await connect(options, tools)
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        const { handles, slots } = await client.transaction((tx) => prepare(tx, client, { schema, enableProjections, lockSlots }))
        return new VastEngine(client, schema, handles, slots, tools.now)
      } catch (error) {
        if (!(error instanceof Conflict) || attempt === MOST_TRIES) throw error
        log?.('the tables are being made by another program', { attempt, reason: error.message })
        await tools.sleep(tools.random() * LONGEST_WAIT_MS)
      }
    }
  } catch (error) {
    client.close()
    throw translate(error, 'opening the store')
  }
}

const connect = async (options: OpenEngineOptions, tools: RetryTools): Promise<VastClient> => {
  const { endpoints, accessKey, secretKey, bucket, log } = options
  try {
    return await VastClient.connect({
      endpoints,
      accessKey,
      secretKey,
      bucket,
      tls: { verify: options.tlsVerify },
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      tools,
      onAnswer: options.onAnswer,
      onWarning: (message, error) => log?.(message, { reason: String(error) }),
    })
  } catch (cause) {
    if (!(cause instanceof VastError)) throw cause
    throw new TamsError('unavailable', `The VAST Database at ${endpoints.join(', ')} cannot be used: ${cause.message}`, { cause })
  }
}

interface Prepared {
  readonly handles: ReadonlyMap<TableName, TableHandle>
  readonly slots: number
}

const prepare = async (
  tx: Transaction,
  client: VastClient,
  options: CatalogOptions & { readonly lockSlots: number },
): Promise<Prepared> => {
  const handles = await openCatalog(tx, options)
  const engine = new VastEngine(client, options.schema, handles, options.lockSlots, systemTools.now)
  await writeVersions(tx, engine)
  return { handles, slots: await fillLocks(tx, engine, options.lockSlots) }
}

const writeVersions = async (tx: Transaction, engine: VastEngine): Promise<void> => {
  const rows = new Map((await allRows(tx, engine, 'meta', ['name', 'value'])).map((row) => [row.name, row]))
  const stored = (name: string): number => Number(rows.get(name)?.value ?? 0)
  refuseNewer(stored)
  const table = engine.handle('meta')
  const fields = table.fields.filter(({ name }) => name === 'name' || name === 'value')
  const missing = Object.entries(VERSION_ROWS).filter(([name]) => !rows.has(name))
  const lower = Object.entries(VERSION_ROWS).filter(([name, version]) => rows.has(name) && stored(name) < version)
  const batch = (from: readonly (readonly [string, number])[]) =>
    batchOfRows(
      fields,
      from.map(([name, version]) => ({ name, value: String(version) })),
    )
  await tx.insert(table, batch(missing))
  for (const entry of lower) {
    const id = rows.get(entry[0])?.[ROW_ID]
    const value = batchOfRows(
      fields.filter(({ name }) => name === 'value'),
      [{ value: String(entry[1]) }],
    )
    if (id !== undefined) await tx.update(table, [id], value)
  }
}

/** The rows that writers collide on, all made beforehand. Gives their number. */
const fillLocks = async (tx: Transaction, engine: VastEngine, wanted: number): Promise<number> => {
  const rows = new SnapshotSource(engine, tx)
  const [stored, count] = await Promise.all([rows.find('meta', [LOCK_SLOTS_META]), rows.count('locks', [])])
  // A store from before the number was written down has as many as there are rows.
  const slots = Number(stored?.value ?? (count || wanted))
  const [locks, meta] = [engine.handle('locks'), engine.handle('meta')]
  if (!stored) await tx.insert(meta, batchOfRows(meta.fields, [{ name: LOCK_SLOTS_META, value: String(slots) }]))
  if (count < slots) {
    const there = new Set((await allRows(tx, engine, 'locks', ['slot'])).map(({ slot }) => slot))
    const missing = Array.from({ length: slots }, (_, slot) => ({ slot, version: 0n })).filter(({ slot }) => !there.has(slot))
    await tx.insert(locks, batchOfRows(locks.fields, missing))
  }
  return slots
}

const allRows = async (
  tx: Transaction,
  engine: VastEngine,
  table: TableName,
  columns: readonly string[],
): Promise<readonly SourceRow[]> => {
  const found: SourceRow[] = []
  for await (const rows of new SnapshotSource(engine, tx).rows(table, { columns, where: [], rowIds: true })) found.push(...rows)
  return found
}
