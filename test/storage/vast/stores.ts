import { afterAll, afterEach, beforeAll } from 'bun:test'
import { type OpenVastOptions, openVastTables, type VastTables } from '../../../src/storage/vast/index.ts'
import { type RetryTools, systemTools } from '../../../src/vastdb/index.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { access } from './cluster.ts'

/** Retries without waiting, so that tests are quick. */
export const impatient: RetryTools = { ...systemTools, sleep: () => new Promise((resolve) => setImmediate(resolve)) }

let schemas = 0

/** Several replicas on one new, empty store. */
export const openReplicas = async (
  emulator: Emulator,
  count: number,
  options: Partial<OpenVastOptions> = {},
): Promise<readonly VastTables[]> => {
  const schema = `writes-${++schemas}`
  const replicas: VastTables[] = []
  for (let i = 0; i < count; i++) replicas.push(await openVastTables({ ...access(emulator), schema, tools: impatient, ...options }))
  return replicas
}

/** One emulator for the tests of a file, without faults at the beginning of each; their stores are closed behind each. */
export const replicasOfFile = () => {
  let emulator: Emulator
  const open: VastTables[] = []
  beforeAll(async () => {
    emulator = await startEmulator()
  })
  afterEach(async () => {
    emulator.faults.clear()
    await Promise.all(open.splice(0).map((store) => store.close()))
  })
  afterAll(() => emulator.close())
  return {
    get emulator() {
      return emulator
    },
    replicas: async (count: number, options: Partial<OpenVastOptions> = {}): Promise<readonly VastTables[]> => {
      const opened = await openReplicas(emulator, count, options)
      open.push(...opened)
      return opened
    },
  }
}

export const openStore = async (emulator: Emulator, options: Partial<OpenVastOptions> = {}): Promise<VastTables> => {
  const [store] = await openReplicas(emulator, 1, options)
  if (!store) throw new Error('no store')
  return store
}

/** How many requests of each kind `action` makes. */
export const requestsOf = async (emulator: Emulator, action: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> => {
  const before = new Map(emulator.requests)
  await action()
  const counts = [...emulator.requests].map(([kind, count]): [string, number] => [kind, count - (before.get(kind) ?? 0)])
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

/** The reason of a rejection. (`expect().rejects` waits in an event loop of its own, in which immediates are late.) */
export const failureOf = async (promise: Promise<unknown> | undefined): Promise<unknown> => {
  try {
    return `nothing failed: ${await promise}`
  } catch (error) {
    return error
  }
}
