import { Type } from '@sinclair/typebox'
import { and, compare, isIn, type Predicate } from '../core/predicate.ts'
import type { Order } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { seqBefore } from './event-log.ts'
import { type EventMessage, type EventOptions, eventMessage } from './event-render.ts'
import { loggedEvent } from './logged-event.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'

/** A message with its place in the log: `id` grows from event to event. */
export const StoredEvent = Type.Object({
  id: Type.String({ pattern: '^\\d+$' }),
  event_timestamp: Type.String({ format: 'date-time' }),
  event_type: Type.String(),
  event: Type.Object({}),
})
export interface StoredEvent extends EventMessage {
  readonly id: string
}

/** Which events to show; what is absent does not restrict. */
export interface EventFilter {
  readonly types?: readonly string[]
  readonly flowIds?: readonly string[]
  readonly sourceIds?: readonly string[]
}

export interface EventQuery extends EventFilter {
  /** Microseconds since the Unix epoch: from then on, and before then. */
  readonly sinceUs?: bigint
  readonly untilUs?: bigint
  readonly options: EventOptions
  readonly page: PageRequest
}

const SCOPE = 'events'

/** For a row in memory; `rowsOf` is the same for the store. */
export const isEventWanted = (
  { types, flowIds, sourceIds }: EventFilter,
  row: { readonly type: string; readonly flow_id: string | null; readonly source_id: string | null },
): boolean =>
  (types === undefined || types.includes(row.type)) &&
  (flowIds === undefined || (row.flow_id !== null && flowIds.includes(row.flow_id))) &&
  (sourceIds === undefined || (row.source_id !== null && sourceIds.includes(row.source_id)))

const rowsOf = ({ types, flowIds, sourceIds }: EventFilter): Predicate =>
  and(
    ...(types ? [isIn('type', types)] : []),
    ...(flowIds ? [isIn('flow_id', flowIds)] : []),
    ...(sourceIds ? [isIn('source_id', sourceIds)] : []),
  )

export const eventUseCases = (deps: Deps) => ({
  /** Stored events, oldest first. */
  list: async (context: Context, query: EventQuery): Promise<Listing<StoredEvent>> => {
    const { page, sinceUs, untilUs } = query
    const limit = effectiveLimit(page, deps.settings)
    const after = pageValues(SCOPE, page, 1)
    const orderBy: Order<'event_log'>[] = [{ column: 'seq', direction: page.reverse ? 'desc' : 'asc' }]
    const found = await deps.tables.read(async (tx) => {
      // Times of the log grow with its numbers, which are its key.
      const where = and(
        rowsOf(query),
        ...(sinceUs === undefined ? [] : [compare('seq', '>', await seqBefore(tx, sinceUs))]),
        ...(untilUs === undefined ? [] : [compare('seq', '<=', await seqBefore(tx, untilUs))]),
      )
      return tx.list('event_log', { where, orderBy, limit, ...(after && { after }) })
    })
    const items: StoredEvent[] = []
    for (const row of found.rows)
      items.push({ id: String(row.seq), ...(await eventMessage(deps, context, loggedEvent(row), query.options)) })
    return { items, limit, ...nextKey(SCOPE, found.after) }
  },
})
