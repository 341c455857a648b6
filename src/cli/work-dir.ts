import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from './cli-error.ts'

/**
 * Runs `work` with a directory of its own below the system's temporary one, removed afterwards, also when the program is
 * interrupted or terminated meanwhile (it exits then). Child processes in the terminal's foreground group get the signal as well.
 */
export const withWorkDir = async <T>(work: (dir: string) => Promise<T>): Promise<T> => {
  const dir = await mkdtemp(join(tmpdir(), 'tams-'))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  const stop = () => {
    remove()
    process.exit(EXIT.interrupted)
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await work(dir)
  } finally {
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
    remove()
  }
}
