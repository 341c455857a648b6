import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

// Not the lowest: where it holds a lock of the allocator or of SQLite, those who wait for it would wait until it gets a turn.
const LOW = 10

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
