export interface Extension {
  /** In `GET /service`. */
  readonly name: string
  /** Of its section in `docs/EXTENSIONS.md`. */
  readonly title: string
  /** What it adds, as `METHOD /path` of `/openapi.json`; none where it is parameters, tags or a behaviour. */
  readonly operations: readonly string[]
}

/** What this service offers beyond the specification, unless `TAMS_STRICT` is set. */
export const EXTENSIONS: readonly Extension[] = [
  { name: 'soft-delete', title: 'Soft delete', operations: ['DELETE /sources/{sourceId}', 'DELETE /objects/{objectId}'] },
  {
    name: 'restore',
    title: 'Seeing and restoring',
    operations: [
      'POST /flows/{flowId}/restore',
      'POST /sources/{sourceId}/restore',
      'POST /objects/{objectId}/restore',
      'POST /flows/{flowId}/segments/restore',
      'POST /deletions/{deletionId}/restore',
    ],
  },
  { name: 'deletions', title: 'Deletions', operations: ['GET /deletions', 'GET /deletions/{deletionId}', 'POST /deletions'] },
  { name: 'purge', title: 'Purge', operations: [] },
  { name: 'direct-sources', title: 'Direct sources', operations: ['POST /sources', 'PUT /sources/{sourceId}'] },
  { name: 'direct-flows', title: 'Direct flows', operations: ['POST /flows'] },
  { name: 'objects', title: 'Objects', operations: ['POST /objects', 'GET /objects/{objectId}/details'] },
  { name: 'batches', title: 'Batches', operations: ['POST /sources/batch', 'POST /flows/batch', 'POST /objects/batch'] },
  { name: 'tag-sets', title: 'Whole tag sets', operations: ['PUT /sources/{sourceId}/tags', 'PUT /flows/{flowId}/tags'] },
  {
    name: 'segment-tags',
    title: 'Segment tags',
    operations: ['GET', 'PUT', 'DELETE'].flatMap((method) => [
      `${method} /flows/{flowId}/segments/{objectId}/tags`,
      `${method} /flows/{flowId}/segments/{objectId}/tags/{name}`,
    ]),
  },
  { name: 'head-urls', title: 'HEAD URLs', operations: [] },
  { name: 'upload', title: 'Upload through the server', operations: [] },
  {
    name: 'collections',
    title: 'Collections by resource',
    operations: ['POST /collections', 'GET /collections', 'POST /source-collections', 'GET /source-collections'],
  },
  { name: 'delete-requests', title: 'Delete requests by hand', operations: ['POST /flow-delete-requests'] },
  { name: 'retention', title: 'Retention', operations: [] },
  { name: 'audit', title: 'Audit trail', operations: ['GET /audit', 'GET /audit/summary'] },
  { name: 'event-stream', title: 'Event stream', operations: ['GET /events', 'GET /events/stream'] },
  {
    name: 'webhook-tools',
    title: 'Webhook tools',
    operations: [
      'GET /service/webhooks/{webhookId}/deliveries',
      'GET /service/webhooks/{webhookId}/signing-secret',
      'POST /service/webhooks/{webhookId}/signing-secret/rotate',
      'POST /service/webhooks/{webhookId}/test',
      'POST /service/webhooks/{webhookId}/replay',
    ],
  },
  { name: 'analytics', title: 'Analytics', operations: ['GET /analytics', 'POST /analytics/query'] },
  { name: 'administration', title: 'Users and tokens', operations: ['GET /admin/users', 'GET /admin/tokens'] },
  { name: 'error-types', title: 'Errors', operations: [] },
]
