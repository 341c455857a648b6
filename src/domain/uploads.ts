import { TamsError } from '../core/errors.ts'
import { FROZEN_META } from '../storage/schema.ts'
import type { Deps } from './deps.ts'
import { findObjects, isControlled, parseInstances } from './media-object.ts'

/**
 * Whether the bytes under this key may still be put: its object is allocated, and no segment uses it yet. Objects are immutable
 * once they are registered (tams-behaviour.md 14.19).
 */
export const uploadGuard =
  ({ tables }: Pick<Deps, 'tables'>) =>
  (key: string, storageId: string): Promise<boolean> =>
    tables.read(async (tx) => {
      const frozen = await tx.find('meta', [FROZEN_META])
      if (frozen) throw new TamsError('unavailable', `No media are taken now, reads go on. ${frozen.value}`)
      const instance = await tx.find('object_instances', [storageId, key])
      const object = instance && (await findObjects(tx, [instance.object_id])).get(instance.object_id)
      if (object?.state !== 'allocated') return false
      return parseInstances(object).some((item) => isControlled(item) && item.storage_id === storageId && item.key === key)
    })
