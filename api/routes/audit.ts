import { Elysia } from 'elysia'
import { AUDIT_CSV_HEADER, type AuditFilter, type AuditRecord, auditCsvLine } from '../../src/domain/audit.ts'
import { HttpQuery } from '../http-query.ts'
import { operation } from '../openapi/operation.ts'
import { json, listing } from '../reply.ts'
import type { RouteDeps } from './deps.ts'

/** Who changed what, and when: an extension. */
export const auditRoutes = ({ domain: { audit }, http, contextOf }: RouteDeps) =>
  new Elysia({ prefix: '/audit' })
    .get(
      '',
      async ({ request }) => {
        const query = new HttpQuery(request.url)
        const filter = auditFilter(query)
        const page = query.paging()
        if (query.oneOf('format', ['json', 'csv']) === 'csv') return csv(audit.all(contextOf(request), filter, page.reverse ?? false))
        return listing(http, request, await audit.list(contextOf(request), filter, page), page.reverse)
      },
      { detail: operation('GET_audit') },
    )
    .get(
      '/summary',
      async ({ request }) => json(request, await audit.summary(contextOf(request), auditFilter(new HttpQuery(request.url)))),
      { detail: operation('GET_audit-summary') },
    )

const auditFilter = (query: HttpQuery): AuditFilter => ({
  entityType: query.text('entity_type'),
  entityId: query.text('entity_id'),
  principal: query.text('principal'),
  action: query.text('action'),
  since: query.time('since'),
  until: query.time('until'),
})

const csv = (parts: AsyncIterator<readonly AuditRecord[]>): Response => {
  let begun = false
  const body = new ReadableStream<string>({
    async pull(controller) {
      const { value, done } = await parts.next()
      const lines = done ? '' : value.map(auditCsvLine).join('')
      controller.enqueue(begun ? lines : AUDIT_CSV_HEADER + lines)
      begun = true
      if (done) controller.close()
    },
    async cancel() {
      await parts.return?.(undefined)
    },
  }).pipeThrough(new TextEncoderStream())
  return new Response(body, {
    headers: { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': 'attachment; filename="audit.csv"' },
  })
}
