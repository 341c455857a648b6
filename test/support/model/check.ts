import { expect } from 'bun:test'
import fc from 'fast-check'
import { openApp, type TestApp } from '../app.ts'
import { inconsistencies } from '../consistency.ts'
import { OBJECTS, sequences } from './commands.ts'
import { compareAll } from './compare.ts'
import { FLOWS, Model } from './model.ts'
import { Real } from './real.ts'

/** Small, so that most deletions become delete requests. */
const THRESHOLD = 1
/** Runs on one store. */
const RUNS_OF_AN_APP = 50

/**
 * Sequences of random requests to the service and to the model: every answer, and at the end everything that can be read, is the same,
 * and the store is consistent. A failure tells the seed and the shortest sequence that was found for it.
 */
export const checkModel = async (options: {
  readonly runs: number
  readonly commands: number
  readonly seed: number
  /** Deletions may be soft, and are undone and purged. */
  readonly trash?: boolean
}): Promise<void> => {
  let app: TestApp | undefined
  let runs = 0
  const open = async (): Promise<TestApp> => {
    if (runs++ % RUNS_OF_AN_APP === 0) {
      await app?.close()
      app = undefined
    }
    app ??= await openApp({ settings: { strict: !options.trash, asyncDeletionThreshold: THRESHOLD } })
    return app
  }
  try {
    await fc.assert(
      fc.asyncProperty(sequences(options.commands, options.trash), async (commands) => {
        const real = new Real(await open())
        const model = new Model(THRESHOLD)
        // So that a sequence is about more than 404.
        for (let flow = 0; flow < FLOWS; flow++) {
          model.putFlow(flow, { label: undefined, tags: {}, collection: [] })
          expect((await real.call('PUT', `/flows/${real.flow(flow)}`, real.flowBody(flow, undefined, {}, []))).status).toBe(201)
        }
        try {
          await fc.asyncModelRun(() => ({ model, real }), commands)
          await compareAll(model, real, OBJECTS)
          await real.workOff()
          model.workOff()
          await compareAll(model, real, OBJECTS)
          expect(await inconsistencies(real.app.deps.tables)).toEqual([])
        } catch (error) {
          // What is wrong with this store may not show again in the next runs.
          runs = 0
          throw error
        }
      }),
      { numRuns: options.runs, seed: options.seed },
    )
  } finally {
    await app?.close()
  }
}
