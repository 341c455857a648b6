import { everything, type Value } from '../../core/predicate.ts'
import { objectMetadata } from '../../domain/flow-storage.ts'
import type { ObjectRow } from '../../domain/media-object.ts'
import type { Row } from '../../storage/schema.ts'
import type { Tables } from '../../storage/tables.ts'
import { copyMedia } from '../copy-media.ts'
import { hasInstance, type Move, movedInstances, movedRecord, objectsOf } from './move.ts'
import { RowSum, textOf } from './rows.ts'
import { Changes, type TableResult } from './sync-table.ts'

export interface MediaResult {
  /** Objects and bytes that were copied and compared in this run. */
  copied: number
  bytes: number
  /** Records of objects whose bytes were not there to copy. */
  without: number
}

export interface SyncMediaOptions {
  /**
   * Whether the source can change no more. Until then only what is registered is brought over, since that alone does not change, and
   * what has no bytes yet is left for later.
   */
  readonly frozen: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (result: Readonly<MediaResult>) => void
}

const PAGE = 200
const COPIES_AT_ONCE = 4
const TABLE = 'object_instances'
/** How the ids of removals begin that the migration itself has ordered. */
export const OWN_REMOVAL = 'migration '

/**
 * Brings over the bytes, and the index of the backends with them: a record is written to the target when its bytes are there and
 * compared, so that it says how far an earlier run has come.
 */
export const syncMedia = async (
  source: Tables,
  target: Tables,
  move: Move | undefined,
  { frozen, signal, onProgress }: SyncMediaOptions,
): Promise<MediaResult> => {
  const result: MediaResult = { copied: 0, bytes: 0, without: 0 }
  for await (const page of pagesOf(source, move)) {
    const present = await target.read(async (tx) => {
      const rows = []
      for (const { after } of page) rows.push(await tx.find(TABLE, [after.storage_id, after.media_key]))
      return rows
    })
    const entries = page.map((entry, index) => ({ ...entry, known: present[index] }))
    const waiting = entries.filter(({ after, known }) => !known || textOf(TABLE, after) !== textOf(TABLE, known)).values()
    const arrived: Row<'object_instances'>[] = []
    const one = async () => {
      for (const { before, after, object, known } of waiting) {
        if (!frozen && object.state !== 'registered') continue
        const there = isSame(known, after) ? HELD : await bring(before, after, object, move, signal)
        if (there === undefined && !frozen) continue
        arrived.push(after)
        if (there === undefined) result.without++
        else if (there.copied) {
          result.copied++
          result.bytes += there.size
        }
      }
    }
    await Promise.all(Array.from({ length: COPIES_AT_ONCE }, one))
    if (arrived.length > 0) await target.write((tx) => tx.put(TABLE, arrived))
    onProgress?.(result)
  }
  return result
}

const HELD = { size: 0, copied: false }

/** Whether the bytes are those that were brought over with this record: a key may be given anew. */
const isSame = (known: Row<'object_instances'> | undefined, row: Row<'object_instances'>): boolean =>
  known?.object_id === row.object_id && known.created === row.created

/** undefined: there are no bytes. */
const bring = async (
  before: Row<'object_instances'>,
  after: Row<'object_instances'>,
  object: ObjectRow,
  move: Move | undefined,
  signal: AbortSignal | undefined,
): Promise<{ readonly size: number; readonly copied: boolean } | undefined> => {
  if (!move || before.storage_id !== move.from.storageId) return HELD
  const { from, to } = move
  if (!(await from.head(before.media_key, signal))) return undefined
  const flowId = object.allocated_for ?? object.first_referenced_by_flow
  const options = { ...(signal && { signal }), ...(flowId !== null && { metadata: objectMetadata(flowId) }) }
  const { size } = await copyMedia(from, before.media_key, to, after.media_key, options)
  return { size, copied: true }
}

interface Entry {
  readonly before: Row<'object_instances'>
  readonly after: Row<'object_instances'>
  readonly object: ObjectRow
}

/** The index of the source as it will be, in the source's order. */
async function* pagesOf(source: Tables, move: Move | undefined): AsyncGenerator<readonly Entry[]> {
  let after: readonly Value[] | undefined
  do {
    const from = after
    const page = await source.read(async (tx) => {
      const found = await tx.list(TABLE, { where: everything, limit: PAGE, ...(from && { after: from }) })
      const objects = await objectsOf(tx, found.rows)
      const entries = found.rows.flatMap((before): Entry[] => {
        const object = objects.get(before.object_id)
        const moved = movedRecord(before, object, move)
        return object && moved ? [{ before, after: moved, object }] : []
      })
      return { entries, after: found.after }
    })
    yield page.entries
    after = page.after
  } while (after)
}

/**
 * Compares the index of the target with what it should be. With `apply`, records that are too many go, and their bytes with them as
 * soon as the target is served: they belong to objects that went while the bytes were brought over.
 */
export const compareIndex = async (
  source: Tables,
  target: Tables,
  move: Move | undefined,
  nowUs: bigint,
  apply: boolean,
): Promise<TableResult> => {
  const [expected, found] = [new RowSum(TABLE), new RowSum(TABLE)]
  for await (const page of pagesOf(source, move)) for (const { after } of page) expected.add(after)
  const changes = new Changes(target, TABLE)
  let differences = 0
  for await (const rows of targetPages(target)) {
    const objects = await source.read((tx) => objectsOf(tx, rows))
    const surplus = rows.filter((row) => {
      const object = objects.get(row.object_id)
      return !object || !hasInstance(movedInstances(object, move), row)
    })
    for (const row of rows) found.add(row)
    differences += surplus.length
    if (!apply || surplus.length === 0) continue
    const removals = surplus.map(({ storage_id, media_key, object_id }): Row<'media_removals'> => {
      return { id: `${OWN_REMOVAL}${storage_id} ${media_key}`, storage_id, media_key, object_id, created: nowUs }
    })
    await target.write((tx) => tx.put('media_removals', removals))
    for (const row of surplus) await changes.remove(row)
  }
  await changes.flush()
  if (differences === 0 && expected.toString() !== found.toString()) differences = 1
  return { table: TABLE, rows: expected.count, differences, expected: expected.toString(), found: found.toString() }
}

async function* targetPages(target: Tables): AsyncGenerator<readonly Row<'object_instances'>[]> {
  let after: readonly Value[] | undefined
  do {
    const from = after
    const page = await target.read((tx) => tx.list(TABLE, { where: everything, limit: PAGE, ...(from && { after: from }) }))
    yield page.rows
    after = page.after
  } while (after)
}
