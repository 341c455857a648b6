import { TamsError } from '../../core/errors.ts'
import { Connection } from './connection.ts'
import { isBusy } from './sqlite-errors.ts'

/**
 * Keeps a second server off the store: an exclusive transaction on a file beside it, held until `close`. The operating system
 * frees the lock however the process ends. Throws `conflict` while another server holds it; other processes may still open
 * the store itself.
 */
export const takeServerLock = (file: string): { close(): void } => {
  let connection: Connection | undefined
  try {
    connection = new Connection({ file: `${file}.server`, writes: true, create: true })
    connection.run('begin exclusive')
  } catch (error) {
    connection?.close()
    if (!isBusy(error)) throw error
    throw new TamsError('conflict', `Another server is using ${file}`, { cause: error })
  }
  return connection
}
