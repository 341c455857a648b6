import type { Loaded } from './engine-protocol.ts'
import type { RemoteEngine } from './remote-engine.ts'
import { differing } from './table-keys.ts'

/** A loaded table, or part of one, as of one snapshot. */
export interface Entry {
  readonly key: string
  /** The same for entries of the same rows with other columns. */
  readonly rowsKey: string
  /** Grows from entry to entry. */
  readonly loaded: number
  readonly versions: Readonly<Record<string, string>>
  /** Absent where nothing had to be loaded beside `under`. */
  readonly table: Loaded | undefined
  readonly select: string
  readonly rowsScanned: number
  readonly bytes: number
  /** Which numbers flows have here. Entries of one lease have the same. */
  readonly numbering?: string | undefined
  /** Of flows: the name of their index, whether segments of theirs are hidden, and their ids where they are few. */
  readonly index?: string
  readonly hides?: boolean | undefined
  readonly flowIds?: readonly string[] | undefined
  /** Of what belongs to flows: these. */
  readonly flows?: Entry
  /** Of an increment: what the rest of the rows is. */
  readonly under?: Entry
  /** Leases, and entries that rest on this one. */
  users: number
  lastUse: number
}

/** What is loaded, by key. What nobody uses goes when the room is short, the longest unused first. */
export class TableEntries {
  private readonly entries = new Map<string, Entry>()
  /** Replaced, but somebody uses them still. */
  private readonly retired = new Set<Entry>()
  private uses = 0
  private evicted = 0

  constructor(
    private readonly engine: RemoteEngine,
    private readonly maxBytes: number,
  ) {}

  get size(): number {
    return this.entries.size + this.retired.size
  }

  get bytes(): number {
    return [...this.entries.values(), ...this.retired].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  get evictions(): number {
    return this.evicted
  }

  get(key: string): Entry | undefined {
    return this.entries.get(key)
  }

  /** Flows chosen by the same condition, whatever their columns: of the same snapshot, or the latest. */
  likeFlows(rowsKey: string, versions: Readonly<Record<string, string>>): { readonly like?: Entry; readonly same: boolean } {
    const alike = [...this.entries.values(), ...this.retired].filter((entry) => entry.index !== undefined && entry.rowsKey === rowsKey)
    const same = alike.find((entry) => differing(entry.versions, versions).length === 0)
    const like = same ?? alike.sort((a, b) => b.loaded - a.loaded)[0]
    return { ...(like && { like }), same: same !== undefined }
  }

  /** In the place of the one with the same key. */
  add(made: Omit<Entry, 'loaded' | 'users' | 'lastUse'>): Entry {
    const order = ++this.uses
    const entry: Entry = { ...made, loaded: order, users: 0, lastUse: order }
    const former = this.entries.get(entry.key)
    this.entries.set(entry.key, entry)
    for (const below of [entry.flows, entry.under]) if (below) below.users++
    if (former) this.retire(former)
    return entry
  }

  hold(entry: Entry): void {
    entry.users++
    entry.lastUse = ++this.uses
  }

  free(entry: Entry): void {
    entry.users--
    if (entry.users > 0) return
    if (this.retired.has(entry)) this.retire(entry)
    else this.evict().catch(() => {})
  }

  evict(): Promise<void> {
    return this.shrink(this.maxBytes)
  }

  async shrink(maxBytes: number): Promise<void> {
    const victims: Entry[] = []
    let { bytes } = this
    while (bytes > maxBytes) {
      // Flows become idle when the last that rests on them goes.
      const [entry] = [...this.entries.values()].filter(({ users }) => users === 0).sort((a, b) => a.lastUse - b.lastUse)
      if (!entry) break
      this.entries.delete(entry.key)
      this.evicted++
      victims.push(entry)
      this.letGo(entry)
      bytes = this.bytes
    }
    // All are out of reach before the first is dropped: nobody takes one in between.
    for (const entry of victims) await this.drop(entry)
  }

  private retire(entry: Entry): void {
    if (entry.users > 0) this.retired.add(entry)
    else {
      this.retired.delete(entry)
      this.letGo(entry)
      // Nobody waits for it; a failure would be of the database as a whole, which the next query reports.
      this.drop(entry).catch(() => {})
    }
  }

  /** What the entry rests on may go as well. */
  private letGo({ flows, under }: Entry): void {
    for (const entry of [flows, under]) {
      if (!entry) continue
      entry.users--
      if (entry.users === 0 && this.retired.has(entry)) this.retire(entry)
    }
  }

  private async drop({ table, index }: Entry): Promise<void> {
    if (table) await this.engine.drop(table.name)
    if (index !== undefined) await this.engine.dropIndex(index)
  }
}
