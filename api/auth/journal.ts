import type { Clock } from '../../src/core/clock.ts'
import { type AuthAttempts, writeAuthLog } from '../../src/domain/auth-log.ts'
import type { Tables } from '../../src/storage/tables.ts'
import type { Log } from '../../src/telemetry/log.ts'

type Attempt = Omit<AuthAttempts, 'count' | 'firstUs'>

/** How often what is noted goes to the store; what a killed process had noted since is lost. */
const FLUSH_MS = 60_000
/** Lines of one kind between two flushes. All further ones become one line: no attacker fills the disk. */
const MAX_LINES = 20
/** A success is noted again after so long. */
const SUCCESS_US = 24n * 3_600_000_000n
const MAX_KNOWN = 10_000
/** `last_used` of a token is no finer than this. */
const USED_US = 5n * 60_000_000n
const MAX_USED = 1000

/** The authentication log: failures with their number, and first successes. Kept in memory, flushed every minute. */
export class Journal {
  private noted = new Map<string, AuthAttempts>()
  private used = new Map<string, bigint>()
  private readonly successes = new Map<string, bigint>()
  private readonly timer = setInterval(() => void this.flush(), FLUSH_MS)

  constructor(
    private readonly tables: Tables,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.timer.unref()
  }

  failure(attempt: Omit<Attempt, 'outcome'>, outcome: 'failure' | 'blocked'): void {
    this.note({ ...attempt, outcome })
  }

  success(attempt: Omit<Attempt, 'outcome'>): void {
    const nowUs = this.clock.nowUs()
    const key = JSON.stringify([attempt.principal, attempt.method, attempt.address])
    const before = this.successes.get(key)
    if (before !== undefined && nowUs - before < SUCCESS_US) return
    this.successes.delete(key)
    if (this.successes.size >= MAX_KNOWN) this.successes.delete(this.successes.keys().next().value ?? '')
    this.successes.set(key, nowUs)
    this.note({ ...attempt, outcome: 'success' })
  }

  tokenUsed(id: string, lastUsedUs: bigint | null): void {
    const nowUs = this.clock.nowUs()
    if (lastUsedUs !== null && nowUs - lastUsedUs < USED_US) return
    if (this.used.size < MAX_USED || this.used.has(id)) this.used.set(id, nowUs)
  }

  /** Never rejects: a log that cannot be written stops nobody. */
  async flush(): Promise<void> {
    const [noted, used] = [[...this.noted.values()], this.used]
    if (noted.length + used.size === 0) return
    this.noted = new Map()
    this.used = new Map()
    for (const { firstUs: _, ...each } of noted) if (each.outcome !== 'success') this.log.warn(each, 'attempts to log in failed')
    try {
      await writeAuthLog(this.tables, noted, used)
    } catch (error) {
      this.log.error({ err: error, lines: noted.length }, 'the authentication log could not be written')
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.flush()
  }

  private note(attempt: Attempt): void {
    const key = JSON.stringify(Object.values(attempt))
    const full = !this.noted.has(key) && [...this.noted.values()].filter(({ outcome }) => outcome === attempt.outcome).length >= MAX_LINES
    const line = full ? { ...attempt, principal: '', address: '' } : attempt
    const lineKey = full ? attempt.outcome : key
    const before = this.noted.get(lineKey)
    this.noted.set(lineKey, { ...line, count: (before?.count ?? 0) + 1, firstUs: before?.firstUs ?? this.clock.nowUs() })
  }
}
