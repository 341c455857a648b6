import * as fc from 'fast-check'
import { emptyModel, type Model, models } from './model.ts'
import type { OpenAnalytics } from './open.ts'

/** Random stores that each report is compared with the model on; the slow suite takes more. */
const runs = (): number => Number(process.env.TAMS_TEST_STORES ?? 6)

/** Holds for the empty store and for many small ones. */
export const forStores = async (open: OpenAnalytics, check: (model: Model) => Promise<void>): Promise<void> => {
  const holds = async (model: Model): Promise<void> => {
    await open.fill(model.rows)
    await check(model)
  }
  await holds(emptyModel())
  await fc.assert(fc.asyncProperty(models, holds), { numRuns: runs() })
}
