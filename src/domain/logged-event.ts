import type { Row } from '../storage/schema.ts'
import type { DomainEvent } from './record.ts'

/** A row of the ordered log, read. */
export interface LoggedEvent {
  readonly seq: bigint
  /** Microseconds since the Unix epoch. */
  readonly time: bigint
  readonly type: string
  readonly flowId: string | undefined
  readonly sourceId: string | undefined
  /** The specification's `event`, its segments without URLs. */
  readonly event: Readonly<Record<string, unknown>>
  readonly collectedBy: DomainEvent['collectedBy']
}

export const loggedEvent = (row: Row<'event_log'>): LoggedEvent => {
  const body = JSON.parse(row.body) as { readonly event: LoggedEvent['event']; readonly collected_by?: DomainEvent['collectedBy'] }
  return {
    seq: row.seq,
    time: row.time,
    type: row.type,
    flowId: row.flow_id ?? undefined,
    sourceId: row.source_id ?? undefined,
    event: body.event,
    collectedBy: body.collected_by,
  }
}
