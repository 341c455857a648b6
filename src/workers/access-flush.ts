import type { AccessCounts } from '../domain/access-counts.ts'
import type { Log } from '../telemetry/log.ts'

const EVERY_MS = 10_000

/** Writes the counts of this process every ten seconds. No lease: each process has its own. `stop` writes what is left. */
export const startAccessFlush = (accesses: AccessCounts, log: Log): { stop(): Promise<void> } => {
  let missed = 0
  const flush = async (): Promise<void> => {
    try {
      await accesses.flush()
    } catch (error) {
      log.warn({ err: error }, 'counts of accesses could not be written; they are kept for the next time')
    }
    if (accesses.missed > missed) log.info({ accesses: accesses.missed - missed }, 'too many different objects to count all accesses')
    missed = accesses.missed
  }
  const timer = setInterval(flush, EVERY_MS)
  return {
    stop() {
      clearInterval(timer)
      return flush()
    },
  }
}
