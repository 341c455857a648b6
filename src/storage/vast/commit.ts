import { Conflict, NotFound, Transaction } from '../../vastdb/index.ts'

export interface CommitOptions {
  /** Whether the commit's mark is there, read outside of the transaction. */
  readonly isDone: () => Promise<boolean>
  /** Waits before try `n` (1, 2 …). */
  readonly pause: (n: number) => Promise<void>
}

/** Nobody can say whether the commit was applied. */
export class CommitUnresolved extends Error {
  constructor(cause: unknown) {
    super('the answer to a commit was lost and the store could not be asked about it', { cause })
    this.name = 'CommitUnresolved'
  }
}

/** Together they last for less than `changes` keeps each mark (`changes-fold.ts`). */
const MOST_TRIES = 6

/**
 * Commits, and finds out what became of a commit whose answer was lost: its mark says that it was applied; where it is missing, the commit is sent again.
 * Throws `Conflict`, or `NotFound` for a transaction that the cluster has forgotten: then nothing was applied. `CommitUnresolved`: nobody knows.
 */
export const commitSurely = async (transaction: Transaction, { isDone, pause }: CommitOptions): Promise<void> => {
  let failure = await failureOf(() => transaction.commit())
  for (let n = 1; failure !== undefined; n++) {
    if (failure instanceof Conflict && n === 1) throw failure
    const done = await isDone().catch(() => undefined)
    if (done) return
    // Only now that the mark is known to be missing.
    if (done === false && (failure instanceof Conflict || failure instanceof NotFound)) throw failure
    if (n === MOST_TRIES) throw new CommitUnresolved(failure)
    await pause(n)
    if (done === false) failure = await failureOf(() => again(transaction).commit())
  }
}

const failureOf = async (action: () => Promise<void>): Promise<unknown> => {
  try {
    await action()
    return undefined
  } catch (error) {
    return error
  }
}

/** The same transaction for another try: the client's own is over. */
const again = ({ scope, id }: Transaction): Transaction => new Transaction(scope.connection, scope.version, scope.bucket, id)
