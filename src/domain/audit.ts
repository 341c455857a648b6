import { type Static, Type } from '@sinclair/typebox'
import { toMicroseconds } from '../core/clock.ts'
import { and, compare, eq, type Predicate } from '../core/predicate.ts'
import type { Row } from '../storage/schema.ts'
import type { Tables } from '../storage/tables.ts'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { effectiveLimit, type Listing, nextKey, type PageRequest, pageValues } from './paging.ts'
import { firstIdAt } from './record.ts'

/** One change: who, when, what. `detail` differs from action to action and never holds a secret. */
export const AuditRecord = Type.Object({
  id: Type.String(),
  time: Type.String({ format: 'date-time' }),
  principal: Type.String(),
  action: Type.String(),
  entity_type: Type.String(),
  entity_id: Type.String(),
  request_id: Type.String(),
  detail: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
export type AuditRecord = Static<typeof AuditRecord>

export interface AuditFilter {
  readonly entityType?: string | undefined
  readonly entityId?: string | undefined
  readonly principal?: string | undefined
  readonly action?: string | undefined
  /** Microseconds; from `since` on, before `until`. */
  readonly since?: bigint | undefined
  readonly until?: bigint | undefined
}

export const AuditSummary = Type.Object({
  total: Type.Integer(),
  by_principal: Type.Array(Type.Object({ principal: Type.String(), count: Type.Integer() })),
  by_action: Type.Array(Type.Object({ action: Type.String(), count: Type.Integer() })),
  by_day: Type.Array(Type.Object({ day: Type.String({ format: 'date' }), count: Type.Integer() })),
})
export type AuditSummary = Static<typeof AuditSummary>

const SCOPE = 'audit'
const WHOLE_PAGE = 1000

/** The trail that every change leaves in its own transaction (`record.ts`). An extension. */
export const auditUseCases = ({ tables, settings }: Deps) => {
  const page = (filter: AuditFilter, limit: number, reverse: boolean, after: readonly (string | bigint)[] | undefined) =>
    tables.read((tx) =>
      tx.list('audit', {
        where: predicate(filter),
        orderBy: [{ column: 'id', direction: reverse ? 'asc' : 'desc' }],
        limit,
        ...(after && { after }),
      }),
    )

  return {
    /** Newest first. */
    list: async (_context: Context, filter: AuditFilter, request: PageRequest): Promise<Listing<AuditRecord>> => {
      const limit = effectiveLimit(request, settings)
      const after = pageValues(SCOPE, request, 1) as readonly string[] | undefined
      const found = await page(filter, limit, request.reverse ?? false, after)
      return { items: found.rows.map(document), limit, ...nextKey(SCOPE, found.after) }
    },

    /** Everything that passes, in parts; what is written meanwhile may or may not be in it. */
    async *all(_context: Context, filter: AuditFilter, reverse: boolean): AsyncGenerator<readonly AuditRecord[]> {
      let after: readonly (string | bigint)[] | undefined
      do {
        const found = await page(filter, WHOLE_PAGE, reverse, after)
        if (found.rows.length > 0) yield found.rows.map(document)
        after = found.after as readonly string[] | undefined
      } while (after)
    },

    summary: (_context: Context, filter: AuditFilter): Promise<AuditSummary> => summarise(tables, filter),
  }
}

const summarise = (tables: Tables, filter: AuditFilter): Promise<AuditSummary> =>
  tables.read(async (tx) => {
    const counts = { principal: new Map<string, number>(), action: new Map<string, number>(), day: new Map<string, number>() }
    let total = 0
    const add = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1)
    for await (const batch of tx.scan('audit', { columns: ['principal', 'action', 'id'], where: predicate(filter) }))
      for (let row = 0; row < batch.numRows; row++) {
        total++
        add(counts.principal, String(batch.getChildAt(0)?.get(row)))
        add(counts.action, String(batch.getChildAt(1)?.get(row)))
        // The id begins with the microsecond.
        const ms = Number(BigInt(`0x${String(batch.getChildAt(2)?.get(row)).slice(0, 16)}`) / 1000n)
        add(counts.day, new Date(ms).toISOString().slice(0, 10))
      }
    const most = ([a, x]: readonly [string, number], [b, y]: readonly [string, number]) => y - x || (a < b ? -1 : 1)
    return {
      total,
      by_principal: [...counts.principal].sort(most).map(([principal, count]) => ({ principal, count })),
      by_action: [...counts.action].sort(most).map(([action, count]) => ({ action, count })),
      by_day: [...counts.day].sort(([a], [b]) => (a < b ? -1 : 1)).map(([day, count]) => ({ day, count })),
    }
  })

// Ids begin with the time, so that a stretch of time is a stretch of the key.
const predicate = (filter: AuditFilter): Predicate =>
  and(
    ...(filter.entityType === undefined ? [] : [eq('entity_type', filter.entityType)]),
    ...(filter.entityId === undefined ? [] : [eq('entity_id', filter.entityId)]),
    ...(filter.principal === undefined ? [] : [eq('principal', filter.principal)]),
    ...(filter.action === undefined ? [] : [eq('action', filter.action)]),
    ...(filter.since === undefined ? [] : [compare('id', '>=', firstIdAt(filter.since))]),
    ...(filter.until === undefined ? [] : [compare('id', '<', firstIdAt(filter.until))]),
  )

const document = (row: Row<'audit'>): AuditRecord => ({
  id: row.id,
  time: toMicroseconds(row.time),
  principal: row.principal,
  action: row.action,
  entity_type: row.entity_type,
  entity_id: row.entity_id,
  request_id: row.request_id,
  ...(row.detail !== null && { detail: JSON.parse(row.detail) as Record<string, unknown> }),
})

const CSV_COLUMNS = ['time', 'principal', 'action', 'entity_type', 'entity_id', 'request_id', 'id', 'detail'] as const
export const AUDIT_CSV_HEADER = `${CSV_COLUMNS.join(',')}\r\n`

/** One line of RFC 4180. A field that a spreadsheet would take for a formula gets an apostrophe in front. */
export const auditCsvLine = (record: AuditRecord): string =>
  `${CSV_COLUMNS.map((name) => field(name === 'detail' ? (record.detail ? JSON.stringify(record.detail) : '') : record[name])).join(',')}\r\n`

const field = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
