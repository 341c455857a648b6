import type { Clock } from '../core/clock.ts'
import { and, eq, isIn, type Value } from '../core/predicate.ts'
import { RETENTION_TAGS } from '../core/retention.ts'
import type { Settings } from '../domain/deps.ts'
import { listAll } from '../domain/list-all.ts'
import { isDue, retentionStep, taggedFlows } from '../domain/retention.ts'
import type { Tables } from '../storage/tables.ts'
import { LeaseLost } from './lease.ts'
import type { Worker } from './worker.ts'

/** Segments of one transaction. */
const BATCH = 500
/** Flows looked at in one step. */
const FLOWS = 100
const NAMES = [RETENTION_TAGS.segment, RETENTION_TAGS.flow] as const

export interface RetentionDeps {
  readonly tables: Tables
  readonly clock: Clock
  readonly settings: Pick<Settings, 'asyncDeletionThreshold'>
}

/**
 * Deletes flows and segments whose retention tags say so, for good. Each round goes through the flows that have such a tag, of which
 * the index of tags knows, and writes only where something is due. A flow that cannot be worked on holds up no other.
 */
export const retentionWorker = ({ tables, clock, settings }: RetentionDeps, batch = BATCH): Worker => {
  const start = { tag: 0, after: undefined as readonly Value[] | undefined }
  let place = start
  return {
    name: 'retention',
    intervalMs: 60_000,
    async step(lease) {
      const name = NAMES[place.tag]
      if (name === undefined) {
        place = start
        return false
      }
      const { due, after } = await tables.read(async (tx) => {
        const page = await taggedFlows(tx, name, FLOWS, place.after)
        const ids = [...new Set(page.rows.map((row) => row.entity_id))]
        if (ids.length === 0) return { due: [], after: page.after }
        const flows = await listAll(tx, 'flows', { where: and(isIn('id', ids), eq('deletion_id', '')), limit: FLOWS })
        const due: string[] = []
        for (const flow of flows) if (await isDue(tx, flow, clock.nowUs())) due.push(flow.id)
        return { due, after: page.after }
      })
      const limits = { segments: batch, threshold: settings.asyncDeletionThreshold }
      const failures: unknown[] = []
      let more = false
      for (const id of due) {
        try {
          const left = await tables.write(async (tx) => {
            await lease.keep(tx)
            return retentionStep(tx, clock.nowUs(), id, limits)
          })
          more ||= left
        } catch (error) {
          if (error instanceof LeaseLost) throw error
          failures.push(error)
        }
      }
      // Those of which more is due come once more first.
      if (!more) place = after ? { tag: place.tag, after } : { tag: place.tag + 1, after: undefined }
      if (failures.length > 0) throw failures[0]
      return true
    },
  }
}
