import { userInfo } from 'node:os'
import { readConfig } from '../config.ts'
import { type Context, seesEverything } from '../domain/context.ts'
import type { Deps } from '../domain/deps.ts'

/** Whoever may read the store's files, and the credentials of a cluster, may do everything. Named in the audit. */
export const operator = (): Context => ({
  principal: { name: `cli:${userInfo().username}` },
  visible: seesEverything,
  requestId: crypto.randomUUID(),
  baseUrl: '',
})

/** Runs `work` on the store that the environment names; a service may be running on it. */
export const withStore = async <T>(work: (deps: Deps) => Promise<T>): Promise<T> => {
  const config = readConfig(process.env)
  // Loaded only here: the other commands need no store.
  const { openStores } = await import('../open-stores.ts')
  const { tables, backends, clock, close } = await openStores(config)
  try {
    return await work({ tables, backends, clock, settings: config, serviceVersion: '' })
  } finally {
    await close()
  }
}
