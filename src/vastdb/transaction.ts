import type { Connection } from './connection.ts'
import { Database } from './database.ts'
import { CommitUncertain, ConnectionFailed, TimedOut, TransactionNotActive } from './errors.ts'
import { reading } from './scope.ts'
import type { ServerVersion } from './version.ts'
import { requiredInteger } from './wire/headers.ts'

const TRANSACTION = { command: 'transaction' } as const

/** A transaction: it sees its own changes at once, others see them after the commit. Use it through `VastClient.transaction` where possible. */
export class Transaction extends Database {
  readonly id: bigint
  #over: string | undefined

  constructor(connection: Connection, version: ServerVersion, bucket: string, id: bigint) {
    super({ connection, version, bucket, txid: id, check: () => this.#check() })
    this.id = id
  }

  static async begin(connection: Connection, version: ServerVersion, bucket: string, signal?: AbortSignal): Promise<Transaction> {
    const { headers } = await connection.call({ method: 'POST', target: TRANSACTION, headers: { 'tabular-txid': '0' }, signal })
    const id = reading('begin of a transaction', () => requiredInteger(headers, 'tabular-txid'))
    return new Transaction(connection, version, bucket, id)
  }

  get active(): boolean {
    return this.#over === undefined
  }

  /** Makes the changes visible and durable. A lost answer: `CommitUncertain`. */
  async commit(): Promise<void> {
    this.#check()
    this.#over = 'committed'
    try {
      await this.#send('PUT')
    } catch (error) {
      if ((error instanceof ConnectionFailed && error.sent) || error instanceof TimedOut)
        throw new CommitUncertain(`commit of transaction ${this.id}: the answer was lost, it may have been applied`, { cause: error })
      throw error
    }
  }

  /** Discards the changes. */
  async rollback(): Promise<void> {
    this.#check()
    this.#over = 'rolled back'
    await this.#send('DELETE')
  }

  /** Tells the server that the transaction is still wanted; clients do that about once a minute in long ones. */
  async keepAlive(): Promise<void> {
    this.#check()
    await this.#send('GET')
  }

  async #send(method: 'GET' | 'PUT' | 'DELETE'): Promise<void> {
    await this.scope.connection.call({ method, target: TRANSACTION, headers: { 'tabular-txid': String(this.id) } })
  }

  #check(): void {
    if (this.#over !== undefined) throw new TransactionNotActive(`transaction ${this.id} is ${this.#over}`)
  }
}
