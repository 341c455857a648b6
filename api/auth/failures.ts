import type { Clock } from '../../src/core/clock.ts'
import { tooManyFailures } from './challenge.ts'

/** Failed attempts of one address in one window. */
const MAX_FAILURES = 30
const WINDOW_MS = 5 * 60_000
/** Addresses remembered at a time; the oldest is forgotten for a new one. */
const MAX_ADDRESSES = 10_000

interface Window {
  readonly endMs: number
  count: number
}

/** How often each address has failed to log in. */
export class Failures {
  private readonly windows = new Map<string, Window>()

  constructor(private readonly clock: Clock) {}

  /** Throws `too_many_requests` with the time to wait when the address has used up its attempts; counts one more otherwise. */
  spend(address: string): void {
    const nowMs = Number(this.clock.nowUs() / 1000n)
    let window = this.windows.get(address)
    if (!window || window.endMs <= nowMs) {
      this.windows.delete(address)
      if (this.windows.size >= MAX_ADDRESSES) this.windows.delete(this.windows.keys().next().value ?? '')
      window = { endMs: nowMs + WINDOW_MS, count: 0 }
      this.windows.set(address, window)
    }
    if (window.count >= MAX_FAILURES) throw tooManyFailures(Math.ceil((window.endMs - nowMs) / 1000))
    window.count++
  }

  /** The attempt was no failure after all. */
  refund(address: string): void {
    const window = this.windows.get(address)
    if (window && window.count > 0) window.count--
  }
}
