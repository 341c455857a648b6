/**
 * Every rule by which two tables, or two columns, say the same thing, looked at beside a running service: each finding comes of one
 * snapshot of all that it is about, in bounded memory. Media bytes are another matter: `workers/reconcile`.
 */
import type { Clock } from '../../core/clock.ts'
import type { Tables } from '../../storage/tables.ts'
import { checkEventLog, checkWebhooks } from './events.ts'
import type { Finding } from './finding.ts'
import { checkInstances, checkPlaces } from './instances.ts'
import { checkMemberships } from './memberships.ts'
import { checkInitObjects, checkObjects } from './references.ts'
import { checkSources } from './sources.ts'
import { checkTags } from './tags.ts'
import { checkFlows, checkTimelines } from './timelines.ts'
import { checkTrash } from './trash.ts'
import { checkWork } from './work.ts'

export { type Finding, REMEDIES, type Rule } from './finding.ts'

export interface IntegrityDeps {
  readonly tables: Tables
  readonly clock: Clock
}

/** Told what is looked at next. */
export type OnCheck = (what: string) => void

export async function* checkIntegrity({ tables, clock }: IntegrityDeps, onCheck: OnCheck = () => {}): AsyncGenerator<Finding> {
  const checks: readonly (readonly [string, () => AsyncGenerator<Finding>])[] = [
    ['flows and their segments', () => checkFlows(tables)],
    ['timelines', () => checkTimelines(tables)],
    ['sources', () => checkSources(tables)],
    ['objects and their uses', () => checkObjects(tables)],
    ['init objects', () => checkInitObjects(tables)],
    ['instances', () => checkInstances(tables)],
    ['places of bytes', () => checkPlaces(tables)],
    ['tags', () => checkTags(tables)],
    ['collections', () => checkMemberships(tables)],
    ['trash', () => checkTrash(tables)],
    ['webhooks', () => checkWebhooks(tables)],
    ['the log of events', () => checkEventLog(tables)],
    ['background work', () => checkWork(tables, clock.nowUs())],
  ]
  for (const [what, check] of checks) {
    onCheck(what)
    yield* check()
  }
}

/** Puts right what a finding is about, if it still is so. False where only a person can decide. */
export const repairFinding = async ({ tables, clock }: IntegrityDeps, { repair }: Finding): Promise<boolean> => {
  if (!repair) return false
  await tables.write((tx) => repair(tx, clock.nowUs()))
  return true
}
