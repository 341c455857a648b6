import { type Answered, Connection } from './connection.ts'
import { Database } from './database.ts'
import type { EndpointHealth } from './endpoints.ts'
import { InvalidArgument, NotFound } from './errors.ts'
import type { TlsOptions } from './http.ts'
import { type PreparedQuery, prepareQuery, type Query } from './query.ts'
import { DEFAULT_RETRY, type RetryPolicy, type RetryTools, systemTools } from './retry.ts'
import type { Table } from './tables.ts'
import { Transaction } from './transaction.ts'
import { parseServer, type ServerVersion } from './version.ts'
import { headerText } from './wire/headers.ts'
import { decodeSnapshots } from './wire/xml.ts'

export interface ClientOptions {
  /** `http://host:port` of one or more addresses of the same cluster. */
  readonly endpoints: readonly string[]
  readonly accessKey: string
  readonly secretKey: string
  readonly bucket: string
  readonly tls?: TlsOptions | undefined
  /** Longest wait for a connection, an answer, or its next bytes, in milliseconds. 0 waits for ever. Default 60,000. */
  readonly timeoutMs?: number | undefined
  readonly retry?: Partial<RetryPolicy> | undefined
  /** Connections kept per endpoint. Default 32. */
  readonly maxSockets?: number | undefined
  /** Clock, chance and waiting of retries. */
  readonly tools?: RetryTools | undefined
  /** The date of signatures. */
  readonly date?: (() => Date) | undefined
  /** What went wrong without being the caller's answer: a rollback or a keep-alive that failed. */
  readonly onWarning?: ((message: string, error: unknown) => void) | undefined
  /** Told of every request, for statistics; must not throw. */
  readonly onAnswer?: ((answered: Answered) => void) | undefined
}

export interface TransactionOptions {
  readonly signal?: AbortSignal | undefined
  /** Keeps the transaction alive in this interval while the work runs. Default 60,000. */
  readonly keepAliveMs?: number | undefined
}

const TIMEOUT_MS = 60_000
const KEEP_ALIVE_MS = 60_000
const MAX_SOCKETS = 32
const SNAPSHOT_PAGE = 1000

/** A connected client of one bucket. */
export class VastClient {
  readonly version: ServerVersion
  readonly bucket: string
  readonly #connection: Connection
  readonly #onWarning: (message: string, error: unknown) => void

  private constructor(
    connection: Connection,
    version: ServerVersion,
    bucket: string,
    onWarning: (message: string, error: unknown) => void,
  ) {
    this.#connection = connection
    this.version = version
    this.bucket = bucket
    this.#onWarning = onWarning
  }

  /**
   * Asks the server for its version and for the bucket. Wrong keys: `Forbidden`; no such bucket: `NotFound`; something else than VAST:
   * `UnsupportedServer`; no endpoint answers: `ConnectionFailed`.
   */
  static async connect(options: ClientOptions, signal?: AbortSignal): Promise<VastClient> {
    if (options.endpoints.length === 0) throw new InvalidArgument('no endpoint given')
    const connection = new Connection({
      endpoints: options.endpoints,
      http: {
        credentials: { accessKey: options.accessKey, secretKey: options.secretKey },
        userAgent: 'vastdb-typescript/0.1',
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        tls: options.tls ?? {},
        maxSockets: options.maxSockets ?? MAX_SOCKETS,
        date: options.date ?? (() => new Date()),
      },
      retry: { ...DEFAULT_RETRY, ...options.retry },
      tools: options.tools ?? systemTools,
      clientName: 'vastdb-typescript',
      onAnswer: options.onAnswer,
    })
    try {
      const probe = {
        method: 'GET',
        target: { command: 'transaction' },
        headers: { 'tabular-get-vast-version': 'true' },
        bare: true,
        signal,
      } as const
      const { headers } = await connection.call(probe)
      const version = parseServer(headerText(headers, 'server'))
      await connection.call({ method: 'HEAD', target: { bucket: options.bucket }, bare: true, signal }).catch((cause: unknown) => {
        throw cause instanceof NotFound ? new NotFound(`no bucket ${JSON.stringify(options.bucket)}`, { status: 404, cause }) : cause
      })
      return new VastClient(connection, version, options.bucket, options.onWarning ?? (() => undefined))
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** Operations outside any transaction: each request stands alone and reads what is committed. */
  get database(): Database {
    return this.#database(this.bucket)
  }

  /** The bucket as a snapshot has it, to read from. */
  snapshot(name: string): Database {
    return this.#database(`${this.bucket}/.snapshot/${name}`)
  }

  async listSnapshots(prefix = ''): Promise<string[]> {
    const names: string[] = []
    let token: string | undefined
    for (;;) {
      const params = {
        delimiter: '/',
        list_type: '2',
        max_keys: String(SNAPSHOT_PAGE),
        prefix: `.snapshot/${prefix}`,
        ...(token === undefined ? {} : { 'continuation-token': token }),
      }
      const { body } = await this.#connection.call({ method: 'GET', target: { bucket: this.bucket, params }, bare: true })
      const page = decodeSnapshots(new TextDecoder().decode(body))
      names.push(...page.names)
      if (!page.truncated || page.marker === token) return names
      token = page.marker
    }
  }

  /** Begins a transaction that the caller must commit or roll back. */
  begin(signal?: AbortSignal): Promise<Transaction> {
    return Transaction.begin(this.#connection, this.version, this.bucket, signal)
  }

  /** Checks and encodes a query, to be asked by `selectPrepared` of any transaction: also of one that is still being begun. */
  prepare(table: Table, query: Query): PreparedQuery {
    return prepareQuery(this.version, table, query)
  }

  /** Runs `work` in a transaction: committed when it succeeds, rolled back when it throws. The error of the work is what the caller gets. */
  async transaction<T>(work: (transaction: Transaction) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const transaction = await this.begin(options.signal)
    const timer = setInterval(() => {
      if (transaction.active)
        transaction.keepAlive().catch((error) => this.#onWarning(`transaction ${transaction.id} could not be kept alive`, error))
    }, options.keepAliveMs ?? KEEP_ALIVE_MS)
    timer.unref()
    try {
      const result = await work(transaction)
      if (transaction.active) await transaction.commit()
      return result
    } catch (error) {
      if (transaction.active)
        await transaction.rollback().catch((failure) => this.#onWarning(`transaction ${transaction.id} could not be rolled back`, failure))
      throw error
    } finally {
      clearInterval(timer)
    }
  }

  /** State, latency and errors of each endpoint. */
  health(): EndpointHealth[] {
    return this.#connection.pool.health()
  }

  /** Ends all connections. */
  close(): void {
    this.#connection.close()
  }

  #database(bucket: string): Database {
    return new Database({ connection: this.#connection, version: this.version, bucket, txid: 0n, check: () => undefined })
  }
}
