import { readlinkSync } from 'node:fs'
import { constants, setPriority } from 'node:os'

// The lowest: those who serve requests get sixty times as much of a core that both want.
const LOW = constants.priority.PRIORITY_LOW

/**
 * Lets other threads of the process go before this one where there are fewer cores than work: to be called in the thread itself. On Linux
 * each thread has a priority of its own; elsewhere nothing changes.
 */
export const yieldToOtherThreads = (): void => {
  if (process.platform !== 'linux') return
  try {
    const [, thread] = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? []
    if (thread !== undefined) setPriority(Number(thread), LOW)
  } catch {
    // Without /proc, or where a sandbox forbids it, the thread keeps its priority.
  }
}
