import { randomUUID } from 'node:crypto'
import {
  batchOfRows,
  Conflict,
  columnValues,
  eq,
  type Table as Handle,
  ROW_ID,
  type Transaction,
  type VastClient,
} from '../../vastdb/index.ts'

/** What a cluster does with two transactions that change one row: of each pair, how many commit. */
export interface ConflictFindings {
  /** Both change the row, then both commit. */
  readonly sideBySide: number
  /** Both begin and read; one changes the row and commits; then the other changes it and commits. */
  readonly oneAfterTheOther: number
}

/** Locks mean something only where exactly one of two commits, whichever way they meet. */
export const keepsConflictsApart = ({ sideBySide, oneAfterTheOther }: ConflictFindings): boolean =>
  sideBySide === 1 && oneAfterTheOther === 1

/** Tries it on a row of its own in `meta` (columns `name` and `value`), which is gone afterwards. */
export const tryConflicts = async (client: VastClient, meta: Handle): Promise<ConflictFindings> => {
  const name = `conflict-test:${randomUUID()}`
  const [rowId] = await client.database.insert(meta, batchOfRows(meta.fields, [{ name, value: '' }]))
  if (rowId === undefined) throw new Error('an insert gave no row id')
  const trial = new Trial(client, meta, name)
  try {
    return { sideBySide: await trial.sideBySide(), oneAfterTheOther: await trial.oneAfterTheOther() }
  } finally {
    await client.transaction(async (tx) => tx.delete(meta, [await trial.rowId(tx)]))
  }
}

class Trial {
  constructor(
    private readonly client: VastClient,
    private readonly meta: Handle,
    private readonly name: string,
  ) {}

  async rowId(tx: Transaction): Promise<bigint> {
    for await (const batch of tx.select(this.meta, { columns: [ROW_ID], where: [eq('name', this.name)], splits: 1 })) {
      const [id] = batch.data.children.flatMap(columnValues)
      if (typeof id === 'bigint') return id
    }
    throw new Error('the row of the conflict test is not there')
  }

  async sideBySide(): Promise<number> {
    const [a, b] = [await this.client.begin(), await this.client.begin()]
    const [idA, idB] = [await this.rowId(a), await this.rowId(b)]
    const changed = [await this.#change(a, idA, 'a'), await this.#change(b, idB, 'b')]
    return Number(changed[0] && (await this.#commit(a))) + Number(changed[1] && (await this.#commit(b)))
  }

  async oneAfterTheOther(): Promise<number> {
    const [a, b] = [await this.client.begin(), await this.client.begin()]
    const [idA, idB] = [await this.rowId(a), await this.rowId(b)]
    const first = (await this.#change(a, idA, 'c')) && (await this.#commit(a))
    const second = (await this.#change(b, idB, 'd')) && (await this.#commit(b))
    return Number(first) + Number(second)
  }

  async #change(tx: Transaction, id: bigint, value: string): Promise<boolean> {
    const fields = this.meta.fields.filter((field) => field.name === 'value')
    const kept = await unlessConflict(() => tx.update(this.meta, [id], batchOfRows(fields, [{ value }])))
    if (!kept) await tx.rollback()
    return kept
  }

  #commit(tx: Transaction): Promise<boolean> {
    return unlessConflict(() => tx.commit())
  }
}

const unlessConflict = async (action: () => Promise<void>): Promise<boolean> => {
  try {
    await action()
    return true
  } catch (error) {
    if (error instanceof Conflict) return false
    throw error
  }
}
