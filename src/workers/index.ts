import type { MediaBackend } from '../domain/storage-backend.ts'
import { allocationSweepWorker } from './allocation-sweep.ts'
import { deletionWorker } from './deletion-requests.ts'
import { mediaRemovalWorker } from './media-removals.ts'
import { objectCopyWorker } from './object-copies.ts'
import { type RunningWorkers, runWorkers, type WorkerDeps } from './worker.ts'

/** All background work of the service. */
export const startWorkers = (deps: WorkerDeps & { readonly backends: readonly MediaBackend[] }): RunningWorkers =>
  runWorkers(deps, [deletionWorker(deps), mediaRemovalWorker(deps), allocationSweepWorker(deps), objectCopyWorker(deps)])
