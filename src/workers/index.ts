import type { Deps } from '../domain/deps.ts'
import { allocationSweepWorker } from './allocation-sweep.ts'
import { deletionWorker } from './deletion-requests.ts'
import { eventRetentionWorker } from './event-retention.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import { mediaRemovalWorker } from './media-removals.ts'
import { objectCopyWorker } from './object-copies.ts'
import { webhookDeliveryWorker } from './webhook-deliveries.ts'
import { type RunningWorkers, runWorkers, type WorkerDeps } from './worker.ts'

export interface BackgroundDeps extends Deps, WorkerDeps {
  /** Requests to URLs that clients have named. */
  readonly request: GuardedFetch
  /** Where URLs of this service's own media begin in what is sent out. */
  readonly baseUrl: string
  readonly eventRetentionMs: number
}

/** All background work of the service. */
export const startWorkers = (deps: BackgroundDeps): RunningWorkers =>
  runWorkers(deps, [
    deletionWorker(deps),
    mediaRemovalWorker(deps),
    allocationSweepWorker(deps),
    objectCopyWorker(deps),
    webhookDeliveryWorker(deps),
    eventRetentionWorker({ ...deps, retentionMs: deps.eventRetentionMs }),
  ])
