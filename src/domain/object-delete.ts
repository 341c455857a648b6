import { TamsError } from '../core/errors.ts'
import { and, eq } from '../core/predicate.ts'
import { quote } from '../core/uuid.ts'
import type { Context } from './context.ts'
import { newDeletion } from './deletion.ts'
import { asConfigured, type DeletionWish, deletionMode } from './deletion-mode.ts'
import type { Deps } from './deps.ts'
import { objectsDeleted } from './extension-events.ts'
import { removeObjects } from './media-object.ts'
import { countLiveReferences, getVisibleObject } from './object.ts'
import { record } from './record.ts'

/** Not part of the specification, where objects go with their last segment. */
export const objectDeleteUseCases = ({ tables, clock, settings }: Deps) => ({
  /**
   * An object that was made directly and is not in use goes into the trash, or for good; then its bytes go with the last segment in the
   * trash that refers to it. Throws `not_found`, and `conflict` while live flows refer to it.
   */
  deleteObject: (context: Context, id: string, parse: () => DeletionWish = asConfigured): Promise<void> =>
    tables.write(async (tx) => {
      await tx.lock([`object:${id}`])
      const row = await getVisibleObject(tx, context, id)
      const mode = deletionMode(settings, context, parse())
      const flows = await countLiveReferences(tx, id)
      if (flows > 0) throw new TamsError('conflict', `Object ${quote(id)} is in use by ${flows} flows; delete its segments there first`)
      const nowUs = clock.nowUs()
      const stored = and(eq('id', id), eq('deletion_id', ''))
      const audit = { action: 'object.delete', entityType: 'object', entityId: id }
      if (mode.soft) {
        const deletion = newDeletion(context, nowUs, { entityType: 'object', entityId: id, mode })
        await tx.update('objects', stored, { trash_id: deletion.id })
        await tx.insert('deletions', [{ ...deletion, counts: JSON.stringify({ objects: 1 }) }])
        return record(tx, context, nowUs, objectsDeleted([row]), { ...audit, detail: { deletion_id: deletion.id } })
      }
      const inTrash = (await tx.count('object_refs', eq('object_id', id), { atMost: 1 })) > 0
      if (!inTrash) await removeObjects(tx, nowUs, [row])
      else await tx.update('objects', stored, { explicit: false })
      return record(tx, context, nowUs, inTrash ? objectsDeleted([row]) : [], audit)
    }),
})
