import type { Operations } from './model.ts'
import { adminOperations } from './operations/admin.ts'
import { analyticsOperations } from './operations/analytics.ts'
import { auditOperations } from './operations/audit.ts'
import { collectionOperations } from './operations/collections.ts'
import { deletionRequestOperations } from './operations/deletion-requests.ts'
import { directOperations } from './operations/direct.ts'
import { documentationOperations } from './operations/documentation.ts'
import { eventOperations } from './operations/events.ts'
import { flowPropertyOperations } from './operations/flow-properties.ts'
import { flowOperations } from './operations/flows.ts'
import { healthOperations } from './operations/health.ts'
import { mediaOperations } from './operations/media.ts'
import { objectOperations } from './operations/objects.ts'
import { profileOperations } from './operations/profiles.ts'
import { segmentTagOperations } from './operations/segment-tags.ts'
import { segmentOperations, storageOperations } from './operations/segments.ts'
import { serviceOperations } from './operations/service.ts'
import { sourceOperations } from './operations/sources.ts'
import { trashOperations } from './operations/trash.ts'
import { webhookOperations, webhookToolOperations } from './operations/webhooks.ts'

/** Every operation of the service, in the order of the specification, then those that it does not know. */
export const operations: Operations = {
  ...serviceOperations,
  ...profileOperations,
  ...webhookOperations,
  ...sourceOperations,
  ...flowOperations,
  ...flowPropertyOperations,
  ...segmentOperations,
  ...storageOperations,
  ...objectOperations,
  ...deletionRequestOperations,
  ...trashOperations,
  ...auditOperations,
  ...segmentTagOperations,
  ...directOperations,
  ...collectionOperations,
  ...webhookToolOperations,
  ...eventOperations,
  ...analyticsOperations,
  ...adminOperations,
  ...mediaOperations,
  ...healthOperations,
  ...documentationOperations,
}
