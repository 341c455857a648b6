import { isBusy, translate } from './sqlite-errors.ts'

/** The other phases of the event loop have their turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Tries again while another process holds what `attempt` needs, with a jittered wait that leaves the event loop free.
 * Rejects with `unavailable` after `timeoutMs`.
 */
export const retryWhileBusy = async <T>(attempt: () => T, timeoutMs: number, doing: string): Promise<T> => {
  const startedAt = performance.now()
  for (let longestMs = 2; ; longestMs = Math.min(longestMs * 1.5, 30)) {
    try {
      return attempt()
    } catch (error) {
      if (!isBusy(error) || performance.now() - startedAt >= timeoutMs) throw translate(error, doing)
    }
    await sleep(1 + Math.random() * longestMs)
  }
}
