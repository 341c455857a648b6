import type { AddressInfo } from 'node:net'
import { Faults } from './faults.ts'
import { emulatorServer } from './server.ts'
import { openJournal } from './store/journal.ts'
import { Transactions } from './transactions.ts'

export type { Fault, FaultKind } from './faults.ts'
export { Faults } from './faults.ts'

export interface EmulatorOptions {
  /** 0 or absent: any free port. */
  readonly port?: number
  readonly host?: string
  /** Directory in which data outlives the process; absent: memory only. */
  readonly data?: string | undefined
  /** Default `['tams']`. */
  readonly buckets?: readonly string[]
  /** Default `test`/`test`; `null` accepts every request, signed or not. */
  readonly credentials?: { readonly accessKey: string; readonly secretKey: string } | null
  /** What the `Server` header announces. Default 5.4.0.20. */
  readonly version?: string
  /** Milliseconds that every request takes at least. */
  readonly latencyMs?: number
  /** A keep-alive after so many frames of a query answer. Default 3; 0 for none. */
  readonly keepAliveEvery?: number
  /** Most rows of one chunk of a query answer. Default 131,072. */
  readonly chunkRows?: number
  /** A transaction that no request used for so long is rolled back. Default 10 minutes. */
  readonly transactionIdleMs?: number
  readonly nowMs?: () => number
  /** Hears of errors that are not the client's; default: standard error. */
  readonly onBug?: (error: unknown) => void
}

export interface Emulator {
  /** `http://host:port` */
  readonly url: string
  readonly faults: Faults
  /** Requests so far by `METHOD command`, for example `GET data`. */
  readonly requests: Map<string, number>
  /** How many transactions are open. */
  openTransactions(): number
  /** Stops listening, cuts connections and closes the data. */
  close(): Promise<void>
}

const from55 = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 5 || (major === 5 && minor >= 5)
}

/** Starts an emulator of the VAST Database protocol. It is not VAST: see the README beside this file. */
export const startEmulator = async (options: EmulatorOptions = {}): Promise<Emulator> => {
  const { version = '5.4.0.20', host = '127.0.0.1', nowMs = Date.now } = options
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(version)) throw new TypeError(`version ${version} is not <major>.<minor>.<patch>.<protocol>`)
  const loaded = options.data === undefined ? undefined : openJournal(options.data)
  const transactions = new Transactions({ ...loaded, nowMs, idleMs: options.transactionIdleMs ?? 10 * 60_000 })
  const faults = new Faults()
  const requests = new Map<string, number>()
  const server = emulatorServer({
    rules: {
      version,
      from55: from55(version),
      buckets: options.buckets ?? ['tams'],
      keepAliveEvery: options.keepAliveEvery ?? 3,
      chunkRows: options.chunkRows ?? 131_072,
    },
    credentials: options.credentials === null ? undefined : (options.credentials ?? { accessKey: 'test', secretKey: 'test' }),
    transactions,
    faults,
    requests,
    nowMs,
    latencyMs: options.latencyMs ?? 0,
    onBug: options.onBug ?? console.error,
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}`,
    faults,
    requests,
    openTransactions: () => transactions.openCount,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          transactions.close()
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
