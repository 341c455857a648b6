import { randomBytes } from 'node:crypto'
import type { Row } from '../storage/schema.ts'
import type { LogEntry, WriteTx } from '../storage/tables.ts'
import { type Collectors, collectorsOf } from './collections.ts'
import type { Context } from './context.ts'
import type { LoggedEventType } from './event-types.ts'

/** What happened, as references: URLs are made at delivery. */
export interface DomainEvent {
  readonly type: LoggedEventType
  readonly flowId?: string
  readonly sourceId?: string
  readonly event: Readonly<Record<string, unknown>>
  /**
   * Who collected the flow and its source: filters of webhooks are judged by that. To be given with what is gone, as it was before;
   * otherwise `record` looks it up.
   */
  readonly collectedBy?: Collectors
}

export interface AuditEntry {
  /** `flow.create`, `flow.segments.add`, … */
  readonly action: string
  readonly entityType: string
  readonly entityId: string
  readonly detail?: Readonly<Record<string, unknown>>
}

/** Ids that sort by time: the microsecond in 16 hexadecimal digits, then 8 random bytes. */
export const timeOrderedId = (nowUs: bigint): string => `${firstIdAt(nowUs)}${randomBytes(8).toString('hex')}`

/** Not above any id of this moment or later, above all earlier ones. */
export const firstIdAt = (us: bigint): string => (us < 0n ? '' : us.toString(16).padStart(16, '0'))

/** Events and audit row of a change, in its own transaction: neither exists without the other. */
export const record = async (
  tx: WriteTx,
  context: Context,
  nowUs: bigint,
  events: readonly DomainEvent[],
  audit: AuditEntry,
): Promise<void> => {
  await appendEvents(tx, nowUs, events)
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

/** Events alone, where the audit row of the change is written elsewhere in the same transaction. */
export const appendEvents = async (tx: WriteTx, nowUs: bigint, events: readonly DomainEvent[]): Promise<void> => {
  const entries = (await withCollectors(tx, events)).flatMap((event) => logEntries(event, nowUs))
  if (entries.length > 0) await tx.append(entries)
}

/** More than this would not fit into the cell beside a large flow: then filters are judged by the state at delivery. */
const MAX_IDS = 200

const withCollectors = async (tx: WriteTx, events: readonly DomainEvent[]): Promise<DomainEvent[]> => {
  const known = new Map<string, Collectors>()
  const result: DomainEvent[] = []
  for (const event of events) {
    // A look would be an eighth of what a post of one segment costs: these are judged by the state at delivery.
    const names = event.flowId !== undefined || event.sourceId !== undefined
    if (event.collectedBy || !names || event.type === 'flows/segments_added') {
      result.push(event)
      continue
    }
    const key = `${event.flowId} ${event.sourceId}`
    const collectedBy = known.get(key) ?? (await collectorsOf(tx, event.flowId, event.sourceId))
    known.set(key, collectedBy)
    result.push(collectedBy.flow.length + collectedBy.source.length > MAX_IDS ? event : { ...event, collectedBy })
  }
  return result
}

/** A cell holds 120 KiB: an event with many items is written in parts, told apart by `part` and `parts`. */
const PART_BYTES = 100 * 1024
const LISTS = ['segments', 'objects', 'object_ids'] as const

const logEntries = (event: DomainEvent, nowUs: bigint): LogEntry[] => {
  const entry = (body: object): LogEntry => ({
    time: nowUs,
    type: event.type,
    flow_id: event.flowId ?? null,
    source_id: event.sourceId ?? null,
    body: JSON.stringify({ ...body, ...(event.collectedBy && { collected_by: event.collectedBy }) }),
  })
  const list = LISTS.find((name) => Array.isArray(event.event[name]))
  if (list === undefined) return [entry({ event: event.event })]
  const parts = splitByBytes(event.event[list] as readonly unknown[])
  if (parts.length === 1) return [entry({ event: event.event })]
  return parts.map((part, index) => entry({ event: { ...event.event, [list]: part }, part: index + 1, parts: parts.length }))
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
