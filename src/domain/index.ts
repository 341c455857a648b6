import { auditUseCases } from './audit.ts'
import { deletionUseCases } from './deletion.ts'
import { deletionBatchUseCases } from './deletion-batch.ts'
import { deletionRequestUseCases } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import { eventUseCases } from './event-list.ts'
import { flowUseCases } from './flow.ts'
import { flowCollectionUseCases } from './flow-collections.ts'
import { flowDeleteUseCases } from './flow-delete.ts'
import { flowPropertyUseCases } from './flow-properties.ts'
import { flowPutUseCases } from './flow-put.ts'
import { flowStorageUseCases } from './flow-storage.ts'
import { objectUseCases } from './object.ts'
import { objectDeleteUseCases } from './object-delete.ts'
import { directObjectUseCases } from './object-direct.ts'
import { objectInstanceUseCases } from './object-instances.ts'
import { profileUseCases } from './profile.ts'
import { restoreUseCases } from './restore.ts'
import { segmentListUseCases } from './segment-list.ts'
import { segmentPostUseCases } from './segment-post.ts'
import { segmentTagUseCases } from './segment-tags.ts'
import { segmentUploadUseCases } from './segment-upload.ts'
import { serviceUseCases } from './service.ts'
import { sourceUseCases } from './source.ts'
import { sourceCollectionUseCases } from './source-collections.ts'
import { sourceDeleteUseCases } from './source-delete.ts'
import { directSourceUseCases } from './source-direct.ts'
import { tokenUseCases } from './token.ts'
import { userUseCases } from './user.ts'
import { webhookUseCases } from './webhook.ts'
import { webhookToolUseCases } from './webhook-tools.ts'

/** The rules of the store, one group of use-cases per resource. */
export const createDomain = (deps: Deps) => ({
  service: serviceUseCases(deps),
  profiles: profileUseCases(deps),
  sources: sourceUseCases(deps),
  directSources: directSourceUseCases(deps),
  sourceCollections: sourceCollectionUseCases(deps),
  flows: { ...flowUseCases(deps), ...flowPutUseCases(deps), ...flowDeleteUseCases(deps) },
  flowCollections: flowCollectionUseCases(deps),
  flowProperties: flowPropertyUseCases(deps),
  flowStorage: flowStorageUseCases(deps),
  segments: { ...segmentListUseCases(deps), ...segmentPostUseCases(deps), ...segmentUploadUseCases(deps) },
  segmentTags: segmentTagUseCases(deps),
  objects: { ...objectUseCases(deps), ...objectInstanceUseCases(deps) },
  directObjects: directObjectUseCases(deps),
  audit: auditUseCases(deps),
  deletionRequests: deletionRequestUseCases(deps),
  sourceDeletion: sourceDeleteUseCases(deps),
  objectDeletion: objectDeleteUseCases(deps),
  deletions: { ...deletionUseCases(deps), ...deletionBatchUseCases(deps) },
  restore: restoreUseCases(deps),
  events: eventUseCases(deps),
  webhooks: webhookUseCases(deps),
  webhookTools: webhookToolUseCases(deps),
  users: userUseCases(deps),
  tokens: tokenUseCases(deps),
})
export type Domain = ReturnType<typeof createDomain>
