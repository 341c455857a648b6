import { and, eq, isIn } from '../../core/predicate.ts'
import { findObjects, isControlled, type ObjectRow, parseInstances } from '../../domain/media-object.ts'
import type { MediaStore, StoredObject } from '../../storage/media.ts'
import type { Row } from '../../storage/schema.ts'
import type { ReadTx, Tables } from '../../storage/tables.ts'
import type { Difference } from './differences.ts'

export type FindingKind =
  /** Bytes that no record accounts for. */
  | 'unrecorded'
  /** A record whose bytes are not there. */
  | 'missing'
  /** Marked as missing once, and there again. */
  | 'found_again'
  | 'size_differs'
  | 'size_unknown'

export interface Confirmed {
  readonly kind: FindingKind
  readonly key: string
  readonly object_id?: string
  /** Bytes, as the record says and as they are. */
  readonly recorded_size?: number
  readonly size?: number
  /** Missing, and shown as that already. */
  readonly marked?: boolean
}

export interface Ages {
  readonly nowUs: bigint
  /** What is younger may be on its way still. */
  readonly minAgeUs: bigint
  /** How the keys of this program begin, before their date. */
  readonly ours: string
}

const LOOKS_AT_ONCE = 16

/**
 * What is left of the differences once both sides are asked again: first the backend, then the index in one snapshot. An object is
 * recorded before it can be uploaded and its record goes before its bytes, so that what is no difference now was none.
 */
export const confirm = async (
  tables: Tables,
  store: MediaStore,
  found: readonly Difference[],
  ages: Ages,
  signal: AbortSignal | undefined,
): Promise<{ readonly findings: readonly Confirmed[]; readonly young: number }> => {
  const heads = await lookUp(store, found, signal)
  const state = await tables.read((tx) => readState(tx, store.storageId, found))
  let young = 0
  const findings: Confirmed[] = []
  for (const { key } of found) {
    const verdict = judge(key, heads.get(key), state, ages)
    if (verdict === 'young') young++
    else if (verdict) findings.push(verdict)
  }
  // A removal may have ended between the two looks.
  const unrecorded = findings.filter(({ kind }) => kind === 'unrecorded')
  const still = await lookUp(store, unrecorded, signal)
  return { findings: findings.filter(({ kind, key }) => kind !== 'unrecorded' || still.get(key)), young }
}

const lookUp = async (
  store: MediaStore,
  places: readonly { readonly key: string }[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, StoredObject | undefined>> => {
  const heads = new Map<string, StoredObject | undefined>()
  const waiting = places.values()
  const one = async () => {
    for (const { key } of waiting) heads.set(key, await store.head(key, signal))
  }
  await Promise.all(Array.from({ length: Math.min(LOOKS_AT_ONCE, places.length) }, one))
  return heads
}

interface State {
  readonly storageId: string
  readonly records: ReadonlyMap<string, Row<'object_instances'>>
  readonly objects: ReadonlyMap<string, ObjectRow>
  /** Keys whose bytes are to be removed or are being copied. */
  readonly pending: ReadonlySet<string>
}

const readState = async (tx: ReadTx, storageId: string, found: readonly Difference[]): Promise<State> => {
  const keys = found.map(({ key }) => key)
  const here = eq('storage_id', storageId)
  const { rows } = await tx.list('object_instances', { where: and(here, isIn('media_key', keys)), limit: keys.length })
  const records = new Map(rows.map((row) => [row.media_key, row]))
  const objects = await findObjects(tx, [...new Set(rows.map((row) => row.object_id))])
  return { storageId, records, objects, pending: await pendingKeys(tx, storageId, keys) }
}

export const pendingKeys = async (tx: ReadTx, storageId: string, keys: readonly string[]): Promise<ReadonlySet<string>> => {
  const pending = new Set<string>()
  const removals = await tx.list('media_removals', {
    columns: ['media_key'],
    where: isIn(
      'id',
      keys.map((key) => `${storageId} ${key}`),
    ),
    limit: keys.length,
  })
  for (const row of removals.rows) pending.add(row.media_key)
  const copying = { columns: ['media_key'], where: and(eq('storage_id', storageId), isIn('media_key', keys)), limit: keys.length } as const
  for (const row of (await tx.list('media_copies', copying)).rows) pending.add(row.media_key)
  return pending
}

const judge = (key: string, head: StoredObject | undefined, state: State, ages: Ages): Confirmed | 'young' | undefined => {
  if (state.pending.has(key)) return undefined
  const record = state.records.get(key)
  if (!record) {
    if (!head) return undefined
    const age = ages.nowUs - head.modifiedUs
    return age < ages.minAgeUs || mayBeGiven(key, ages) ? 'young' : { kind: 'unrecorded', key, size: head.size }
  }
  const object = state.objects.get(record.object_id)
  const instance =
    object &&
    parseInstances(object)
      .filter(isControlled)
      .find((each) => each.storage_id === state.storageId && each.key === key)
  // Allocated: the sweep looks after it. Copying: the copy does.
  if (object?.state !== 'registered' || !instance || instance.status === 'copying') return undefined
  const place = { key, object_id: object.id, ...(record.size !== null && { recorded_size: Number(record.size) }) }
  if (ages.nowUs - (object.registered ?? object.created) < ages.minAgeUs) return 'young'
  if (!head) return { kind: 'missing', ...place, marked: instance.status === 'missing' }
  const sized = { ...place, size: head.size }
  if (instance.status === 'missing') return { kind: 'found_again', ...sized }
  if (record.size === null || instance.size === undefined) return { kind: 'size_unknown', ...sized }
  return record.size === BigInt(head.size) ? undefined : { kind: 'size_differs', ...sized }
}

/** Clocks of several programs differ by less. */
const CLOCKS_US = 3_600_000_000n

/** Whether a new object could get this key: keys carry the day on which they are given. */
const mayBeGiven = (key: string, { nowUs, ours }: Ages): boolean => {
  const [day] = /^\d{4}\/\d{2}\/\d{2}/.exec(key.slice(ours.length)) ?? []
  const today = new Date(Number((nowUs - CLOCKS_US) / 1000n)).toISOString().slice(0, 10).replaceAll('-', '/')
  return day !== undefined && day >= today
}
