import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Config } from './config.ts'
import { systemClock } from './core/clock.ts'
import { openMedia } from './open-media.ts'
import { openTables, SQLITE_FILE } from './open-stores.ts'
import { openSqliteTables } from './storage/sqlite/index.ts'
import { type ResetDeps, refuseServed } from './workers/reset.ts'

export interface OpenReset extends ResetDeps {
  close(): Promise<void>
}

/**
 * The stores that the configuration names, and nobody else on them: throws `conflict` while a service is. A frozen store may be reset.
 * undefined where there is none.
 */
export const openForReset = async (config: Config): Promise<OpenReset | undefined> => {
  const clock = systemClock()
  const file = path.join(config.dataDir, SQLITE_FILE)
  const isThere = await stat(file).then(
    () => true,
    () => false,
  )
  if (!config.vast && !isThere) return undefined
  const tables = config.vast
    ? (await openTables(config, clock)).tables
    : await openSqliteTables({ file, clock, exclusive: true, maintenance: true })
  try {
    if (config.vast) await refuseServed(tables, clock.nowUs())
    // It signs URLs, and none are made here.
    const { backends } = await openMedia(config, tables, clock, randomBytes(32).toString('base64url'))
    return { tables, backends, storagePath: config.storagePath, close: () => tables.close() }
  } catch (error) {
    await tables.close()
    throw error
  }
}
