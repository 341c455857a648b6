import { systemClock } from '../../src/core/clock.ts'
import { everything } from '../../src/core/predicate.ts'
import { checkIntegrity } from '../../src/domain/integrity/index.ts'
import { listAll } from '../../src/domain/list-all.ts'
import type { MediaBackend } from '../../src/domain/storage-backend.ts'
import type { Tables } from '../../src/storage/tables.ts'

/** What `tams doctor --data` finds wrong, a sentence for each; work that waits is none of it. */
export const inconsistencies = async (tables: Tables): Promise<string[]> => {
  const found: string[] = []
  for await (const { rule, severity, subject, problem } of checkIntegrity({ tables, clock: systemClock() }))
    if (severity === 'fault') found.push(`${rule}: ${subject}: ${problem}`)
  return found
}

const MANY = 1_000_000

/** Keys in the backends that no object, upload, copy or pending removal accounts for. */
export const strayBytes = async (tables: Tables, backends: readonly MediaBackend[]): Promise<string[]> => {
  const known = await tables.read(async (tx) => {
    const columns = ['storage_id', 'media_key'] as const
    const query = { columns, where: everything, limit: MANY }
    return [
      ...(await listAll(tx, 'object_instances', query)),
      ...(await listAll(tx, 'media_removals', query)),
      ...(await listAll(tx, 'media_copies', query)),
    ]
  })
  const expected = new Set(known.map((row) => `${row.storage_id} ${row.media_key}`))
  const stray: string[] = []
  for (const { info, store } of backends)
    for await (const { key } of store.list({})) if (!expected.has(`${info.id} ${key}`)) stray.push(`${info.id} ${key}`)
  return stray
}
