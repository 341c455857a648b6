import { randomBytes } from 'node:crypto'
import type { Row } from '../storage/schema.ts'
import type { LogEntry, WriteTx } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { EventType } from './webhook-schema.ts'

/** What happened, as references: URLs are made at delivery. */
export interface DomainEvent {
  readonly type: EventType
  readonly flowId?: string
  readonly sourceId?: string
  readonly event: Readonly<Record<string, unknown>>
  /**
   * Who collected the flow and its source before a deletion: filters of webhooks are judged by that state, which is gone
   * when the event is delivered.
   */
  readonly collectedBy?: { readonly flow: readonly string[]; readonly source: readonly string[] }
}

export interface AuditEntry {
  /** `flow.create`, `flow.segments.add`, … */
  readonly action: string
  readonly entityType: string
  readonly entityId: string
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Ids that sort by time: the microsecond in 16 hexadecimal digits, then 8 random bytes. */
export const timeOrderedId = (nowUs: bigint): string => `${nowUs.toString(16).padStart(16, '0')}${randomBytes(8).toString('hex')}`

/** Events and audit row of a change, in its own transaction: neither exists without the other. */
export const record = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  events: readonly DomainEvent[],
  audit: AuditEntry,
): Promise<void> => {
  if (events.length > 0) await tx.append(events.flatMap((event) => logEntries(event, nowUs)))
  const row: Row<'audit'> = {
    id: timeOrderedId(nowUs),
    time: nowUs,
    principal: context.principal.name,
    action: audit.action,
    entity_type: audit.entityType,
    entity_id: audit.entityId,
    request_id: context.requestId,
    detail: audit.detail ? JSON.stringify(audit.detail) : null,
  }
  await tx.insert('audit', [row])
}

/** A cell holds 120 KiB: an event with many segments is written in parts, told apart by `part` and `parts`. */
const PART_BYTES = 100 * 1024

const logEntries = (event: DomainEvent, nowUs: bigint): LogEntry[] => {
  const entry = (body: object): LogEntry => ({
    time: nowUs,
    type: event.type,
    flow_id: event.flowId ?? null,
    source_id: event.sourceId ?? null,
    body: JSON.stringify({ ...body, ...(event.collectedBy && { collected_by: event.collectedBy }) }),
  })
  const segments = event.event.segments
  if (!Array.isArray(segments)) return [entry({ event: event.event })]
  const parts = splitByBytes(segments)
  if (parts.length === 1) return [entry({ event: event.event })]
  return parts.map((part, index) => entry({ event: { ...event.event, segments: part }, part: index + 1, parts: parts.length }))
}

const splitByBytes = (items: readonly unknown[]): unknown[][] => {
  const parts: unknown[][] = [[]]
  let bytes = 0
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item)) + 1
    if (bytes + size > PART_BYTES && bytes > 0) {
      parts.push([])
      bytes = 0
    }
    parts.at(-1)?.push(item)
    bytes += size
  }
  return parts
}
