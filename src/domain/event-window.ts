import type { Row } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import { type Collectors, collectorsOf } from './collections.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { type EventMessage, type EventOptions, eventMessage } from './event-render.ts'
import { type LoggedEvent, loggedEvent } from './logged-event.ts'

/** A row of the log with what its readers made of it, so that many readers at one place cost little more than one. */
export class WindowRow {
  private event: LoggedEvent | undefined
  private collectors: Promise<Collectors> | undefined
  private readonly texts = new Map<string, { readonly text: Promise<string>; readonly untilMs: number }>()

  constructor(readonly row: Row<'event_log'>) {}

  get logged(): LoggedEvent {
    this.event ??= loggedEvent(this.row)
    return this.event
  }

  /** As they were when it happened; as they are now where they were too many to write down. */
  collectedBy(tables: Tables): Promise<Collectors> {
    const { collectedBy, flowId, sourceId } = this.logged
    this.collectors ??= collectedBy ? Promise.resolve(collectedBy) : tables.read((tx) => collectorsOf(tx, flowId, sourceId))
    this.collectors.catch(() => {
      this.collectors = undefined
    })
    return this.collectors
  }

  message(deps: Deps, context: Context, options: EventOptions): Promise<EventMessage> {
    return eventMessage(deps, context, this.logged, options)
  }

  /** The message as JSON; `optionsKey` tells equal `options`. URLs in it are not older than a minute. */
  text(deps: Deps, context: Context, options: EventOptions, optionsKey: string): Promise<string> {
    const key = `${context.baseUrl} ${this.row.type === SEGMENTS ? optionsKey : ''}`
    const now = performance.now()
    const known = this.texts.get(key)
    if (known && known.untilMs > now) return known.text
    const text = this.message(deps, context, options).then((message) => JSON.stringify(message))
    this.texts.set(key, { text, untilMs: now + TEXT_MS })
    text.catch(() => this.texts.delete(key))
    return text
  }
}

const SEGMENTS = 'flows/segments_added'
const TEXT_MS = 60_000
const MAX_ROWS = 2000
const MAX_BYTES = 8 * 1024 * 1024

/** The newest part of the log in memory. Readers that are far behind read the store. */
export class EventWindow {
  private rows: WindowRow[] = []
  private bytes = 0
  /** `rows` are all there are behind this number. */
  private base: bigint | undefined
  /** Readers at one place wait for the same look at the store. */
  private readonly reading = new Map<string, Promise<readonly WindowRow[]>>()

  constructor(private readonly tables: Tables) {}

  /** Rows behind `after`, oldest first; empty at the end of the log. */
  async read(after: bigint, limit: number): Promise<readonly WindowRow[]> {
    if (this.base !== undefined && after >= this.base) {
      const known = this.behind(after, limit)
      if (known.length > 0) return known
    }
    const key = `${after} ${limit}`
    const reading = this.reading.get(key) ?? this.fromStore(after, limit).finally(() => this.reading.delete(key))
    this.reading.set(key, reading)
    return reading
  }

  private async fromStore(after: bigint, limit: number): Promise<readonly WindowRow[]> {
    const found = (await this.tables.read((tx) => tx.readLog(after, limit))).map((row) => new WindowRow(row))
    if (this.base === undefined || after >= this.end) this.append(after, found)
    return found
  }

  private get end(): bigint {
    return this.rows.at(-1)?.row.seq ?? this.base ?? 0n
  }

  private behind(after: bigint, limit: number): readonly WindowRow[] {
    let low = 0
    let high = this.rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.rows[middle]?.row.seq ?? 0n) <= after) low = middle + 1
      else high = middle
    }
    return this.rows.slice(low, low + limit)
  }

  private append(after: bigint, found: readonly WindowRow[]): void {
    // Somebody else may have read the same rows meanwhile, or rows may lie between: then they are remembered from here on.
    if (this.base === undefined || after > this.end) {
      this.rows = []
      this.bytes = 0
      this.base = after
    }
    for (const row of found) {
      if (row.row.seq <= this.end) continue
      this.rows.push(row)
      this.bytes += row.row.body.length
    }
    let drop = 0
    while (this.rows.length - drop > MAX_ROWS || (this.bytes > MAX_BYTES && drop < this.rows.length)) {
      const first = this.rows[drop++]
      if (!first) break
      this.base = first.row.seq
      this.bytes -= first.row.body.length
    }
    if (drop > 0) this.rows.splice(0, drop)
  }
}
