import type { Deps } from '../domain/deps.ts'
import { allocationSweepWorker } from './allocation-sweep.ts'
import { auditRetentionWorker } from './audit-retention.ts'
import { authLogRetentionWorker } from './auth-log-retention.ts'
import { deletionWorker } from './deletion-requests.ts'
import { eventRetentionWorker } from './event-retention.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import { mediaRemovalWorker } from './media-removals.ts'
import { objectCopyWorker } from './object-copies.ts'
import { objectSizeWorker } from './object-sizes.ts'
import { purgeWorker } from './purge.ts'
import { restoreWorker } from './restores.ts'
import { retentionWorker } from './retention.ts'
import { type DeliveryObserver, webhookDeliveryWorker } from './webhook-deliveries.ts'
import { type RunningWorkers, runWorkers, type WorkerDeps } from './worker.ts'

export interface BackgroundDeps extends Omit<Deps, 'log'>, WorkerDeps {
  /** Requests to URLs that clients have named. */
  readonly request: GuardedFetch
  /** Where URLs of this service's own media begin in what is sent out. */
  readonly baseUrl: string
  readonly eventRetentionMs: number
  /** Told how deliveries go. */
  readonly metrics: DeliveryObserver
  readonly auditRetentionMs: number
  /** How long what is soft-deleted lies in the trash. */
  readonly softDeleteRetentionMs: number
}

/** All background work of the service. */
export const startWorkers = (deps: BackgroundDeps): RunningWorkers =>
  runWorkers(deps, [
    deletionWorker(deps),
    restoreWorker(deps),
    purgeWorker({ ...deps, retentionMs: deps.softDeleteRetentionMs }),
    mediaRemovalWorker(deps),
    allocationSweepWorker(deps),
    objectCopyWorker(deps),
    objectSizeWorker(deps),
    webhookDeliveryWorker({ ...deps, observer: deps.metrics }),
    auditRetentionWorker({ ...deps, retentionMs: deps.auditRetentionMs }),
    authLogRetentionWorker({ ...deps, retentionMs: deps.auditRetentionMs }),
    eventRetentionWorker({ ...deps, retentionMs: deps.eventRetentionMs }),
    ...(deps.settings.strict ? [] : [retentionWorker(deps)]),
  ])
