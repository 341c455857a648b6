import { toMicroseconds } from '../../src/core/clock.ts'
import type { Context } from '../../src/domain/context.ts'
import type { Deps } from '../../src/domain/deps.ts'
import type { EventFeed } from '../../src/domain/event-feed.ts'
import { type EventFilter, isEventWanted } from '../../src/domain/event-list.ts'
import type { EventOptions } from '../../src/domain/event-render.ts'

/** Silence is broken after so long, so that nobody on the way takes the connection for dead. */
const HEARTBEAT_MS = 15_000

export interface StreamRequest {
  readonly filter: EventFilter
  readonly options: EventOptions
  /** The last event that the reader has. */
  readonly lastId: bigint | undefined
}

/** What a stream sends next. `beat`: nothing happened; everything up to `id` has been looked at. */
export type Streamed =
  | { readonly kind: 'event'; readonly id: bigint; readonly type: string; readonly json: string }
  | { readonly kind: 'beat'; readonly id: bigint }

export interface ReaderDeps {
  readonly deps: Deps
  readonly feed: EventFeed
  readonly context: Context
}

/** The events that are asked for, from the last known one on and then as they happen. Ends with the signal and with the service. */
export async function* readEvents(
  { deps, feed, context }: ReaderDeps,
  { filter, options, lastId }: StreamRequest,
  signal: AbortSignal,
): AsyncGenerator<Streamed> {
  const optionsKey = JSON.stringify(options)
  const start = await feed.start(lastId)
  let { position } = start
  if (start.lostUntil !== undefined) {
    position = start.lostUntil - 1n
    const event = { after: String(lastId), before: String(start.lostUntil) }
    const message = { event_timestamp: toMicroseconds(deps.clock.nowUs()), event_type: 'stream/gap', event }
    yield { kind: 'event', id: position, type: 'stream/gap', json: JSON.stringify(message) }
  } else yield { kind: 'beat', id: position }
  while (!signal.aborted && !feed.closed.aborted) {
    const rows = await feed.next(position, HEARTBEAT_MS, signal)
    if (rows.length === 0 && !signal.aborted && !feed.closed.aborted) yield { kind: 'beat', id: position }
    for (const row of rows) {
      position = row.row.seq
      if (!isEventWanted(filter, row.row)) continue
      yield { kind: 'event', id: position, type: row.row.type, json: await row.text(deps, context, options, optionsKey) }
    }
  }
}
