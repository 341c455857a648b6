/**
 * Moves a whole store, metadata and bytes, into another one: from any engine to any other. While most of it is copied the source goes
 * on as it is; then it is frozen (reads go on), what has changed is copied, and everything is compared. Each step may be broken off and
 * done again. See `docs/MIGRATION.md`.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { TamsError } from '../../core/errors.ts'
import { eq, everything } from '../../core/predicate.ts'
import { FROZEN_META, type Row, tables as schema, type TableName } from '../../storage/schema.ts'
import type { Tables } from '../../storage/tables.ts'
import { type Move, transformsFor } from './move.ts'
import { compareIndex, type MediaResult, OWN_REMOVAL, syncMedia } from './sync-media.ts'
import { syncTable, type TableResult } from './sync-table.ts'

export type { MediaResult, TableResult }

export interface MigrationDeps {
  /** May write although it is frozen. */
  readonly source: Tables
  readonly target: Tables
  /** undefined: the bytes stay where they are. */
  readonly move: Move | undefined
  readonly clock: Clock
}

export type Step = 'media' | 'tables' | 'freeze' | 'verify'

export interface MigrationOptions {
  readonly signal?: AbortSignal
  readonly onStep?: (step: Step, frozen: boolean) => void
  readonly onMedia?: (result: Readonly<MediaResult>) => void
  readonly onTable?: (result: TableResult) => void
}

export interface MigrationResult {
  readonly media: MediaResult
  readonly tables: readonly TableResult[]
}

/** Of the source: the id of its migration. Of the target: what is under way there, or has ended. */
const ID_META = 'migration_id'
export const TARGET_META = 'migration'

interface TargetState {
  readonly source: string
  readonly state: 'copying' | 'done'
}

/** Belong to one store and are made anew in another: who holds what, marks of commits, backends as configured. */
const LEFT_BEHIND: ReadonlySet<TableName> = new Set(['leases', 'locks', 'changes', 'outbox', 'storage_backends', 'object_instances'])
const OWN_META = new Set(['schema_version', 'min_reader_version', 'embedded_storage_id', ID_META, TARGET_META, FROZEN_META])

/**
 * Throws `conflict` when the target holds something else, or is not the same as the source in the end: then the source stays frozen,
 * and the migration may be tried again.
 */
export const runMigration = async (deps: MigrationDeps, options: MigrationOptions = {}): Promise<MigrationResult> => {
  const { source, target, move, clock } = deps
  const { signal, onStep = () => {}, onMedia } = options
  const id = await claim(source, target)
  const media: MediaResult = { copied: 0, bytes: 0, without: 0 }
  const bring = async (frozen: boolean) => {
    onStep('media', frozen)
    const result = await syncMedia(source, target, move, { frozen, ...(signal && { signal }), ...(onMedia && { onProgress: onMedia }) })
    media.copied += result.copied
    media.bytes += result.bytes
    media.without = result.without
    onStep('tables', frozen)
    await syncAll(deps, true, options)
  }
  await bring(false)
  onStep('freeze', true)
  await freeze(source, `It is being moved to another store (migration ${id})`)
  await bring(true)
  await compareIndex(source, target, move, clock.nowUs(), true)
  await continueNumbers(source, target)
  onStep('verify', true)
  const compared = [...(await syncAll(deps, false, options)), await compareIndex(source, target, move, clock.nowUs(), false)]
  const wrong = compared.filter(({ differences, expected, found }) => differences > 0 || expected !== found)
  if (wrong.length > 0)
    throw new TamsError(
      'conflict',
      `The copy differs from the source in ${wrong.map(({ table }) => table).join(', ')}: run the migration again`,
    )
  await setState(target, { source: id, state: 'done' })
  await freeze(source, `It has been moved to another store (migration ${id})`)
  return { media, tables: compared }
}

/** Lets the source take changes again. What was moved is then no copy of it any more, and a new migration needs an empty target. */
export const releaseSource = (source: Tables): Promise<void> =>
  source.write(async (tx) => {
    await tx.delete('meta', eq('name', FROZEN_META))
    await tx.delete('meta', eq('name', ID_META))
  })

/** Whether this store is the target of a migration that has not ended: it must not be served. */
export const isHalfMigrated = async (tables: Tables): Promise<boolean> => (await targetState(tables))?.state === 'copying'

const syncAll = async (deps: MigrationDeps, apply: boolean, { signal, onTable = () => {} }: MigrationOptions): Promise<TableResult[]> => {
  const results: TableResult[] = []
  for (const table of Object.keys(schema) as TableName[]) {
    signal?.throwIfAborted()
    if (LEFT_BEHIND.has(table)) continue
    const result = await syncOne(deps, table, apply)
    onTable(result)
    results.push(result)
  }
  return results
}

const syncOne = <N extends TableName>({ source, target, move }: MigrationDeps, table: N, apply: boolean): Promise<TableResult> => {
  const isOwn = (name: string) => OWN_META.has(name) || name.startsWith('s3_storage_id ')
  const transform = transformsFor(move, isOwn)[table]
  const keep: { readonly [T in TableName]?: (row: Row<T>) => boolean } = {
    meta: ({ name }) => !isOwn(name),
    media_removals: ({ id }) => !id.startsWith(OWN_REMOVAL),
  }
  return syncTable<N>(source, target, table, { apply, transform, keep: keep[table] })
}

/** The id of the migration, the same each time. The target is empty, or was begun by it. */
const claim = async (source: Tables, target: Tables): Promise<string> => {
  const known = (await source.read((tx) => tx.find('meta', [ID_META])))?.value
  const state = await targetState(target)
  if (state) {
    if (state.source !== known)
      throw new TamsError('conflict', 'The target holds what another migration has brought: empty it, or name another one')
    if (state.state === 'done') throw new TamsError('conflict', 'This migration has ended: the target is complete')
    return known
  }
  for (const table of ['sources', 'flows', 'objects', 'profiles', 'webhooks'] as const)
    if ((await target.read((tx) => tx.count(table, everything, { atMost: 1 }))) > 0)
      throw new TamsError('conflict', `The target is not empty: it has rows in ${table}`)
  const id = known ?? randomUUID()
  await source.write(async (tx) => {
    await tx.lock([`meta:${ID_META}`])
    await tx.put('meta', [{ name: ID_META, value: id }])
  })
  await setState(target, { source: id, state: 'copying' })
  return id
}

const targetState = async (target: Tables): Promise<TargetState | undefined> => {
  const row = await target.read((tx) => tx.find('meta', [TARGET_META]))
  return row && (JSON.parse(row.value) as TargetState)
}

const setState = (target: Tables, state: TargetState): Promise<void> =>
  target.write(async (tx) => {
    await tx.lock([`meta:${TARGET_META}`])
    await tx.put('meta', [{ name: TARGET_META, value: JSON.stringify(state) }])
  })

const freeze = (source: Tables, reason: string): Promise<void> =>
  source.write(async (tx) => {
    await tx.lock([`meta:${FROZEN_META}`])
    await tx.put('meta', [{ name: FROZEN_META, value: reason }])
  })

/** The lease whose fence is the last number of the log, on engines that do not number at insertion. */
const LOG_LEASE = 'event_log'

/** The log goes on behind the last number that anybody has seen, although its rows may be gone: cursors of webhooks rest on it. */
const continueNumbers = async (source: Tables, target: Tables): Promise<void> => {
  const last = await source.read(async (tx) => {
    const { rows } = await tx.list('event_log', { where: everything, orderBy: [{ column: 'seq', direction: 'desc' }], limit: 1 })
    const cursors = (await tx.list('webhook_cursors', { where: everything, limit: 100_000 })).rows
    const given = (await tx.find('leases', [LOG_LEASE]))?.fence ?? 0n
    return [given, ...rows.map(({ seq }) => seq), ...cursors.map(({ position }) => position)].reduce((a, b) => (a > b ? a : b))
  })
  if (last === 0n) return
  await target.write(async (tx) => {
    await tx.lock([`lease:${LOG_LEASE}`])
    await tx.put('leases', [{ name: LOG_LEASE, holder: 'migration', expires: 0n, fence: last }])
    if (await tx.find('event_log', [last])) return
    // An engine that numbers at insertion never gives a number again that was there once.
    await tx.insert('event_log', [{ seq: last, time: 0n, type: '', flow_id: null, source_id: null, body: '{}' }])
    await tx.delete('event_log', eq('seq', last))
  })
}
