import { SingleBar } from 'cli-progress'
import { say } from './cli-error.ts'

/** How far a piece of work has come, on stderr. */
export interface Progress {
  /** `done` of `total` segments, and bytes moved so far, where bytes are moved. */
  update(done: number, bytes: number): void
  stop(): void
}

export const silent: Progress = { update: () => {}, stop: () => {} }

/** A bar on a terminal; elsewhere a line for each further tenth. */
export const showProgress = (title: string, total: number, isTerminal = process.stderr.isTTY === true): Progress => {
  if (total === 0) return silent
  if (!isTerminal) return lines(title, total)
  const bar = new SingleBar({ format: `${title} [{bar}] {value}/{total} segments{size}, {eta_formatted} left`, stream: process.stderr })
  bar.start(total, 0, { size: '' })
  return {
    update: (done, bytes) => bar.update(done, { size: moved(bytes) }),
    stop: () => bar.stop(),
  }
}

const lines = (title: string, total: number): Progress => {
  let tenth = -1
  return {
    update(done, bytes) {
      const now = Math.floor((done * 10) / total)
      if (now === tenth) return
      tenth = now
      say(`${title}: ${done}/${total} segments${moved(bytes)}`)
    },
    stop: () => {},
  }
}

const moved = (bytes: number): string => (bytes === 0 ? '' : `, ${(bytes / 1e6).toFixed(1)} MB`)
