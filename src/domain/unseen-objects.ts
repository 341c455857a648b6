import type { ReadTx } from '../storage/tables.ts'
import { findObjects, type ObjectRow, referredTo } from './media-object.ts'

/** Engines bound the length of an `in`. */
const CHUNK = 5000

/**
 * Of these media objects and of what they begin with, those that clients do not see: no live flow uses them (besides the timeline
 * named), and they are not there by themselves. Asked before segments come back, and after they have gone to the trash.
 */
export const unseenObjects = async (tx: ReadTx, mediaIds: Iterable<string>, besides?: string): Promise<ObjectRow[]> => {
  const ids = [...new Set(mediaIds)]
  const unseen = new Map<string, ObjectRow>()
  for (let start = 0; start < ids.length; start += CHUNK) {
    const media = await findObjects(tx, ids.slice(start, start + CHUNK))
    const inits = await findObjects(tx, [...new Set([...media.values()].flatMap((row) => row.init_object_id ?? []))])
    const rows = new Map([...media, ...inits])
    const used = await referredTo(tx, [...rows.keys()], besides)
    for (const row of rows.values()) if (!used.has(row.id) && !(row.explicit && row.trash_id === null)) unseen.set(row.id, row)
  }
  return [...unseen.values()]
}
