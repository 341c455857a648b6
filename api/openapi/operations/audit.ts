import { Type } from '@sinclair/typebox'
import { AUDIT_CSV_HEADER, AuditRecord, AuditSummary, auditCsvLine } from '../../../src/domain/audit.ts'
import * as example from '../examples.ts'
import type { Operations, Parameter } from '../model.ts'
import { inQuery, limit, page, reverseOrder } from '../parameters.ts'
import { answer, failing, listing } from '../responses.ts'

const record: AuditRecord = {
  id: '0006425a1c2d3e4f9b8a7c6d5e4f3a2b',
  time: '2026-03-02T09:15:00.123456Z',
  principal: 'anna',
  action: 'flow.create',
  entity_type: 'flow',
  entity_id: example.VIDEO_ID,
  request_id: '3b1f0c9e-6c51-4d0e-9c43-0d7c1f0a8b52',
}

const time = (name: string, description: string) => inQuery(name, description, Type.String({ format: 'date-time' }), '2026-03-02T00:00:00Z')
const filters: readonly Parameter[] = [
  inQuery('entity_type', 'Only changes of this kind of thing.', Type.String(), 'flow'),
  inQuery('entity_id', 'Only changes of the thing with this id.', Type.String(), example.VIDEO_ID),
  inQuery('principal', 'Only changes that this user or token made.', Type.String(), 'anna'),
  inQuery('action', 'Only this action.', Type.String(), 'flow.create'),
  time('since', 'Only from then on.'),
  time('until', 'Only from before then.'),
]

const audited = listing('full', 'The changes.', Type.Array(AuditRecord), [record])

export const auditOperations: Operations = {
  GET_audit: {
    method: 'get',
    path: '/audit',
    tag: 'Extensions',
    extension: true,
    summary: 'List changes',
    description:
      'Every change of the store: who made it, when, and by which request. Written in the transaction of the change itself. Newest first; with `format=csv` all that pass, as a stream without pages.',
    parameters: [
      ...filters,
      inQuery('format', 'How to answer.', Type.String({ enum: ['json', 'csv'], default: 'json' }), 'csv'),
      reverseOrder,
      page,
      limit,
    ],
    responses: {
      200: {
        ...audited,
        content: {
          ...audited.content,
          'text/csv': { schema: Type.String(), example: AUDIT_CSV_HEADER + auditCsvLine(record) },
        },
      },
      ...failing(400),
    },
  },
  'GET_audit-summary': {
    method: 'get',
    path: '/audit/summary',
    tag: 'Extensions',
    extension: true,
    summary: 'Count changes',
    description: 'How many changes each principal made, of each action there were, and on each day (UTC).',
    parameters: filters,
    responses: {
      200: answer('The counts.', AuditSummary, {
        total: 2,
        by_principal: [{ principal: 'anna', count: 2 }],
        by_action: [{ action: 'flow.create', count: 2 }],
        by_day: [{ day: '2026-03-02', count: 2 }],
      }),
      ...failing(400),
    },
  },
}
