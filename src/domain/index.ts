import { deletionRequestUseCases } from './deletion-request.ts'
import type { Deps } from './deps.ts'
import { eventUseCases } from './event-list.ts'
import { flowUseCases } from './flow.ts'
import { flowDeleteUseCases } from './flow-delete.ts'
import { flowPropertyUseCases } from './flow-properties.ts'
import { flowPutUseCases } from './flow-put.ts'
import { flowStorageUseCases } from './flow-storage.ts'
import { objectUseCases } from './object.ts'
import { objectInstanceUseCases } from './object-instances.ts'
import { profileUseCases } from './profile.ts'
import { segmentListUseCases } from './segment-list.ts'
import { segmentPostUseCases } from './segment-post.ts'
import { serviceUseCases } from './service.ts'
import { sourceUseCases } from './source.ts'
import { webhookUseCases } from './webhook.ts'
import { webhookToolUseCases } from './webhook-tools.ts'

/** The rules of the store, one group of use-cases per resource. */
export const createDomain = (deps: Deps) => ({
  service: serviceUseCases(deps),
  profiles: profileUseCases(deps),
  sources: sourceUseCases(deps),
  flows: { ...flowUseCases(deps), ...flowPutUseCases(deps), ...flowDeleteUseCases(deps) },
  flowProperties: flowPropertyUseCases(deps),
  flowStorage: flowStorageUseCases(deps),
  segments: { ...segmentListUseCases(deps), ...segmentPostUseCases(deps) },
  objects: { ...objectUseCases(deps), ...objectInstanceUseCases(deps) },
  deletionRequests: deletionRequestUseCases(deps),
  events: eventUseCases(deps),
  webhooks: webhookUseCases(deps),
  webhookTools: webhookToolUseCases(deps),
})
export type Domain = ReturnType<typeof createDomain>
