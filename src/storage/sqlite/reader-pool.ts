import { TamsError } from '../../core/errors.ts'
import { Connection } from './connection.ts'
import { retryWhileBusy } from './wait.ts'

const MOST_CONNECTIONS = 32

/** Connections for reading, one for each open snapshot. The one used last is used next: its cache is warm. */
export class ReaderPool {
  private readonly idle: Connection[] = []
  private readonly waiting: ((connection: Connection | undefined) => void)[] = []
  private open = 0
  private closed = false

  constructor(
    private readonly file: string,
    private readonly busyTimeoutMs: number,
  ) {}

  /** A connection without a snapshot yet; give it back with `release`. */
  async acquire(): Promise<Connection> {
    return this.idle.pop() ?? this.another()
  }

  /** From here on the connection shows one state of the store, until it is released. */
  beginSnapshot(connection: Connection): Promise<void> {
    return retryWhileBusy(() => begin(connection), this.busyTimeoutMs, 'opening a snapshot')
  }

  release(connection: Connection): void {
    if (connection.inTransaction) connection.run('rollback')
    const next = this.waiting.shift()
    if (next) next(connection)
    else if (this.closed) connection.close()
    else this.idle.push(connection)
  }

  close(): void {
    this.closed = true
    for (const connection of this.idle.splice(0)) connection.close()
    for (const give of this.waiting.splice(0)) give(undefined)
  }

  private async another(): Promise<Connection> {
    if (this.open < MOST_CONNECTIONS) {
      this.open++
      try {
        return await retryWhileBusy(() => new Connection({ file: this.file, writes: false }), this.busyTimeoutMs, 'opening the store')
      } catch (error) {
        this.open--
        throw error
      }
    }
    const connection = await new Promise<Connection | undefined>((resolve) => this.waiting.push(resolve))
    if (!connection) throw new TamsError('unavailable', 'The store is closed')
    return connection
  }
}

// "begin" alone opens nothing: the snapshot is taken by the first statement that looks at the file.
const begin = (connection: Connection): void => {
  if (!connection.inTransaction) connection.run('begin')
  connection.rows('select 1 from meta limit 0')
}
