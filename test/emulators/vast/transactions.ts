// Snapshots and commits. A transaction reads what was committed when it began, and its own changes. Of two transactions that change one row
// (or one thing of the catalogue) the first to commit wins; the other gets 409. For DDL the loser is told at once, as on a cluster.
// That row conflicts work like this on a cluster is an assumption (vast-protocol section 5): it is what the strictest reader may rely on.
import { Catalog, type TableEntry } from './catalog.ts'
import { conflict, notFound } from './protocol-error.ts'
import type { Change, Chunk } from './store/chunk.ts'
import { RowStore } from './store/row-store.ts'
import { RowView } from './store/view.ts'

/** What a commit made durable. */
export interface Commit {
  /** The new catalogue, when DDL changed it. */
  readonly catalog: Catalog | undefined
  readonly inserted: readonly { readonly store: RowStore; readonly chunk: Chunk }[]
  readonly changed: readonly { readonly store: RowStore; readonly rowId: number; readonly change: Change }[]
}

export interface Journal {
  /** Returns when the commit will survive the process. */
  write(commit: Commit, counters: Counters): void
  close(): void
}

/** Numbers that must never be given out twice, over restarts too. */
export interface Counters {
  readonly nextId: number
  readonly nextTransaction: bigint
}

type Ddl = (catalog: Catalog) => Catalog

export class Transaction {
  readonly id: bigint
  readonly snapshot: number
  readonly #base: Catalog
  readonly #views = new Map<RowStore, RowView>()
  readonly #ddl: Ddl[] = []
  /** What its DDL touches: `schema bucket/path`, `table bucket/path/name`. */
  readonly claims = new Set<string>()
  catalog: Catalog
  lastUsedMs: number

  constructor(id: bigint, snapshot: number, catalog: Catalog, nowMs: number) {
    this.id = id
    this.snapshot = snapshot
    this.catalog = catalog
    this.#base = catalog
    this.lastUsedMs = nowMs
  }

  rows(table: TableEntry): RowView {
    const found = this.#views.get(table.store)
    if (found !== undefined) return found
    const view = new RowView(table.store, this.snapshot)
    this.#views.set(table.store, view)
    return view
  }

  get views(): readonly RowView[] {
    return [...this.#views.values()]
  }

  get changesCatalog(): boolean {
    return this.#ddl.length > 0
  }

  apply(change: Ddl): void {
    this.catalog = change(this.catalog)
    this.#ddl.push(change)
  }

  /** Its DDL on what others have committed meanwhile. */
  rebased(current: Catalog): Catalog {
    return current === this.#base ? this.catalog : this.#ddl.reduce((catalog, change) => change(catalog), current)
  }
}

export class Transactions {
  readonly #journal: Journal | undefined
  readonly #nowMs: () => number
  readonly #idleMs: number
  readonly #open = new Map<bigint, Transaction>()
  /** The last commit that touched a thing of the catalogue. */
  readonly #claimed = new Map<string, number>()
  #catalog: Catalog
  #commits = 0
  #nextId: number
  #nextTransaction: bigint

  constructor(options: {
    readonly catalog?: Catalog
    readonly counters?: Counters
    readonly journal?: Journal | undefined
    readonly nowMs: () => number
    readonly idleMs: number
  }) {
    this.#catalog = options.catalog ?? new Catalog()
    this.#nextId = options.counters?.nextId ?? 1
    this.#nextTransaction = options.counters?.nextTransaction ?? 1n
    this.#journal = options.journal
    this.#nowMs = options.nowMs
    this.#idleMs = options.idleMs
  }

  /** A number for a handle, a column or a store. */
  newId(): number {
    return this.#nextId++
  }

  newStore(): RowStore {
    return new RowStore(this.newId())
  }

  begin(): Transaction {
    const now = this.#nowMs()
    for (const transaction of this.#open.values()) if (now - transaction.lastUsedMs > this.#idleMs) this.#open.delete(transaction.id)
    const transaction = new Transaction(this.#nextTransaction++, this.#commits, this.#catalog, now)
    this.#open.set(transaction.id, transaction)
    return transaction
  }

  get(id: bigint): Transaction {
    const transaction = this.#open.get(id)
    if (transaction === undefined) throw notFound(`transaction ${id} does not exist`, 'NoSuchTransaction')
    transaction.lastUsedMs = this.#nowMs()
    return transaction
  }

  get openCount(): number {
    return this.#open.size
  }

  /** DDL of an open transaction. Something that another one has touched, committed or not: 409 at once. */
  change(transaction: Transaction, claims: readonly string[], ddl: Ddl): void {
    for (const claim of claims) {
      if ((this.#claimed.get(claim) ?? 0) > transaction.snapshot)
        throw conflict(`${claim} was changed by a transaction that committed meanwhile`)
      for (const other of this.#open.values())
        if (other !== transaction && other.claims.has(claim)) throw conflict(`${claim} is being changed by transaction ${other.id}`)
    }
    transaction.apply(ddl)
    for (const claim of claims) transaction.claims.add(claim)
  }

  /** A row that another transaction has changed since this one began cannot be changed any more: 409 already at the statement. */
  checkRow(transaction: Transaction, store: RowStore, rowId: number): void {
    const newest = store.newest(rowId)?.version
    if (newest !== undefined && newest.commit > transaction.snapshot)
      throw conflict(`row ${rowId} was changed by a transaction that committed meanwhile`)
  }

  rollback(transaction: Transaction): void {
    this.#open.delete(transaction.id)
  }

  /** All or nothing. After a 409 the transaction is gone. */
  commit(transaction: Transaction): void {
    this.#open.delete(transaction.id)
    const written = transaction.views.filter((view) => view.inserted.length > 0 || view.changes.size > 0)
    if (written.length === 0 && !transaction.changesCatalog) return
    const own = new Set(written.flatMap((view) => view.inserted))
    for (const view of written) for (const rowId of view.changes.keys()) this.checkRow(transaction, view.store, rowId)
    const catalog = transaction.changesCatalog ? transaction.rebased(this.#catalog) : this.#catalog
    const stores = new Set(catalog.tables().map((table) => table.store))
    const kept = written.filter((view) => stores.has(view.store))
    const before = new Set(transaction.catalog.tables().map((table) => table.store))
    if (written.some((view) => before.has(view.store) && !stores.has(view.store)))
      throw conflict('a table was dropped by a transaction that committed meanwhile')

    const commit = this.#commits + 1
    // The rows must stand in the store before the journal takes them; nothing reads until this function is through.
    const changed = kept.flatMap((view) => [...view.changes].map(([rowId, change]) => ({ store: view.store, rowId, change })))
    const inserted = kept.flatMap((view) => view.inserted.map((chunk) => ({ store: view.store, chunk })))
    this.#journal?.write(
      { catalog: transaction.changesCatalog ? catalog : undefined, inserted, changed },
      { nextId: this.#nextId, nextTransaction: this.#nextTransaction },
    )
    for (const { store, chunk } of inserted) store.add(chunk, commit)
    const oldest = this.#oldestSnapshot()
    for (const { store, rowId, change } of changed) store.addVersion(rowId, { commit, change }, oldest)
    this.#commits = commit
    this.#catalog = catalog
    for (const claim of transaction.claims) this.#claimed.set(claim, commit)
    this.#compact(kept, catalog, own.size > 0)
  }

  #oldestSnapshot(): number {
    let oldest = this.#commits
    for (const { snapshot } of this.#open.values()) if (snapshot < oldest) oldest = snapshot
    return oldest
  }

  #compact(written: readonly RowView[], catalog: Catalog, inserted: boolean): void {
    if (!inserted) return
    const oldest = this.#oldestSnapshot()
    for (const { store } of written) {
      const table = catalog.tables().find((candidate) => candidate.store === store)
      store.compact(oldest, (id) => table?.columns.find((column) => column.id === id)?.field.type)
    }
  }

  close(): void {
    this.#open.clear()
    this.#journal?.close()
  }
}
