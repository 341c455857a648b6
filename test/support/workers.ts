import type { Clock } from '../../src/core/clock.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { acquireLease, type Lease } from '../../src/workers/lease.ts'
import type { Worker } from '../../src/workers/worker.ts'

export const takeLease = async (tables: Tables, clock: Clock, name: string, holder = 'test'): Promise<Lease> => {
  const lease = await acquireLease(tables, clock, name, holder)
  if (!lease) throw new Error(`the lease ${name} is held by another`)
  return lease
}

export interface Running {
  readonly tables: Tables
  readonly clock: Clock
}

/** One step; true when there may be more. */
export const step = async ({ tables, clock }: Running, worker: Worker): Promise<boolean> =>
  worker.step(await takeLease(tables, clock, worker.name), new AbortController().signal)

/** Steps until there is nothing to do; `between` runs after each. */
export const runUntilIdle = async (running: Running, worker: Worker, between: () => Promise<void> = async () => {}): Promise<void> => {
  for (let steps = 0; await step(running, worker); steps++) {
    if (steps > 10_000) throw new Error(`${worker.name} finds no end`)
    await between()
  }
  await between()
}
