import type { RowSource } from './row-source.ts'
import { ROW_ID } from './row-source.ts'

/** Rows of `locks`, made with the schema: writers of one key update the row of its slot, and only one of them can commit. */
export const LOCK_SLOTS = 1024

/** FNV-1a over UTF-8. Every replica and every version must agree on it. */
export const lockSlot = (key: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash % LOCK_SLOTS
}

export interface LockRow {
  readonly rowId: bigint
  /** The stamp of the last commit that took it. */
  readonly version: bigint
}

/** The row of a slot as the transaction's snapshot has it. */
export const findLockRow = async (snapshot: RowSource, slot: number): Promise<LockRow> => {
  const row = await snapshot.find('locks', [slot])
  const rowId = row?.[ROW_ID]
  if (rowId === undefined) throw new Error(`the table locks has no row ${slot}: the schema was not made by this program`)
  return { rowId, version: BigInt(row?.version ?? 0) }
}
