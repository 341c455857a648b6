import { eq, type Predicate } from '../core/predicate.ts'
import type { ColumnName, TableName } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import type { Log } from '../telemetry/log.ts'
import type { StoreTotals } from '../telemetry/metrics.ts'

const EVERY_MS = 60_000
/** Counting takes at most one twentieth of the time, however large the store is. */
const PAUSE_TIMES = 20
const LIVE = eq('deletion_id', '')

/**
 * What the store holds, by scans of three tables. Segments are counted by their flows.
 */
export const storeTotals = async (tables: Tables, signal: AbortSignal): Promise<StoreTotals> =>
  tables.read(async (tx) => {
    const scan = async <N extends TableName>(table: N, column: ColumnName<N>, where: Predicate) => {
      let rows = 0
      let sum = 0n
      for await (const batch of tx.scan(table, { columns: [column], where, signal })) {
        rows += batch.numRows
        for (const value of batch.getChildAt(0) ?? []) if (typeof value === 'bigint') sum += value
      }
      return { rows, sum: Number(sum) }
    }
    const sources = await scan('sources', 'created', LIVE)
    const flows = await scan('flows', 'segment_count', LIVE)
    const objects = await scan('objects', 'size', LIVE)
    return { sources: sources.rows, flows: flows.rows, segments: flows.sum, bytes: objects.sum }
  })

/** Tells once a minute what the store holds, unless nothing was written meanwhile. No lease: each process has figures of its own. */
export const startStoreTotals = (tables: Tables, log: Log, tell: (totals: StoreTotals) => void): { stop(): Promise<void> } => {
  const stopping = new AbortController()
  let seen = ''
  let timer: Timer | undefined
  let running: Promise<void> | undefined
  const look = async (): Promise<void> => {
    const began = performance.now()
    try {
      const versions = (await Promise.all((['sources', 'flows', 'objects'] as const).map((table) => tables.version(table)))).join()
      if (versions !== seen) tell(await storeTotals(tables, stopping.signal))
      seen = versions
    } catch (error) {
      if (!stopping.signal.aborted) log.warn({ err: error }, 'what the store holds could not be counted')
    }
    next(Math.max(EVERY_MS, (performance.now() - began) * PAUSE_TIMES))
  }
  const next = (ms: number): void => {
    if (stopping.signal.aborted) return
    timer = setTimeout(() => {
      running = look()
    }, ms)
  }
  running = look()
  return {
    async stop() {
      stopping.abort()
      clearTimeout(timer)
      await running
    },
  }
}
