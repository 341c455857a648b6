import { compare, everything } from '../../core/predicate.ts'
import { Conflict } from '../../vastdb/index.ts'
import type { WriteTx } from '../tables.ts'

/** The row of `leases` whose `fence` is the last number given; two that give numbers at a time collide on it. */
export const LEASE = 'event_log'

/** Entries that get their numbers in one transaction. */
export const SEQUENCE_LIMIT = 1000

export interface Sequencing {
  /** Who has given the last number; for people who look. */
  readonly holder: string
  readonly nowUs: () => bigint
}

/** Moves the oldest entries of the outbox into the log, in the order of their ids, with the next numbers. Gives how many. */
export const sequence = async (tx: WriteTx, { holder, nowUs }: Sequencing, limit = SEQUENCE_LIMIT): Promise<number> => {
  const { rows } = await tx.list('outbox', { where: everything, limit })
  const last = rows.at(-1)
  if (!last) return 0
  const lease = await tx.find('leases', [LEASE])
  // Later the row itself is what they collide on: a lock's row would be taken by works with other keys too.
  if (!lease) await tx.lock([`lease:${LEASE}`])
  let seq = lease?.fence ?? 0n
  await tx.insert(
    'event_log',
    rows.map(({ id: _, ...entry }) => {
      seq += 1n
      return { seq, ...entry }
    }),
  )
  await tx.delete('outbox', compare('id', '<=', last.id))
  await tx.put('leases', [{ name: LEASE, holder, expires: nowUs(), fence: seq }])
  return rows.length
}

export interface SequencerOptions extends Sequencing {
  /** Gives all entries their numbers at once; false where it cannot. Rejects with `Conflict` when it collides. */
  readonly quickly: () => Promise<boolean>
  /** Runs a work in a transaction of its own, once; rejects with `Conflict` when it collides. */
  readonly alone: <T>(work: (tx: WriteTx) => Promise<T>) => Promise<T>
  /** Waits before try `n`. */
  readonly pause: (n: number) => Promise<void>
  readonly log: (message: string, detail: Readonly<Record<string, unknown>>) => void
}

const MOST_TRIES = 20
const DELAY_MS = 500

/** Gives the entries of the outbox their numbers. Any replica may, at any time: of two at once one wins. */
export class Sequencer {
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(private readonly options: SequencerOptions) {}

  /** Resolves when everything that was committed before the call has its number. */
  catchUp(): Promise<void> {
    if (!this.#running) return this.#begin()
    // What runs already may have looked before.
    this.#next ??= this.#running.catch(() => undefined).then(() => this.#begin())
    return this.#next
  }

  /** The same a little later, for nobody who waits: entries of many commits get their numbers together. */
  start(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => this.#inBackground(), DELAY_MS)
  }

  #inBackground(): void {
    this.#timer = undefined
    this.catchUp().catch((error: unknown) =>
      this.options.log('entries of the log could not be numbered; the next reader tries again', { error }),
    )
  }

  /** Entries without a number get theirs from the next who reads the log. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    while (this.#running) await Promise.allSettled([this.#running, this.#next])
  }

  #begin(): Promise<void> {
    this.#next = undefined
    // What it was for is done now; what is committed from here on starts it again.
    clearTimeout(this.#timer)
    this.#timer = undefined
    const running = this.#drain().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #drain(): Promise<void> {
    for (let n = 1; ; ) {
      try {
        if ((await this.options.quickly()) || (await this.options.alone((tx) => sequence(tx, this.options))) < SEQUENCE_LIMIT) return
        n = 1
      } catch (error) {
        if (!(error instanceof Conflict) || n === MOST_TRIES) throw error
        await this.options.pause(n)
        n += 1
      }
    }
  }
}
