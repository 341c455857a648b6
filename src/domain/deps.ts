import type { Clock } from '../core/clock.ts'
import type { Tables } from '../storage/tables.ts'
import type { Log } from '../telemetry/log.ts'
import type { AccessCounts } from './access-counts.ts'
import type { MediaBackend } from './storage-backend.ts'

/** The part of the configuration that rules depend on. */
export interface Settings {
  readonly strict: boolean
  readonly pageLimitDefault: number
  readonly pageLimitMax: number
  readonly flowStorageDefaultLimit: number
  /** Seconds. */
  readonly minObjectTimeout: number
  readonly requireUploadedObjects: boolean
  readonly asyncDeletionThreshold: number
  /** Whether a DELETE that does not say keeps the record in the trash. */
  readonly softDeleteDefault: boolean
  readonly getUrlsMaxCount: number
  readonly storagePath: string
  /** Hosts on this machine or a private network that URLs named by clients may lead to. */
  readonly webhookAllowedHosts: readonly string[]
  /** Seconds. */
  readonly uploadUrlTimeout: number
  /** Seconds. */
  readonly downloadUrlTimeout: number
}

/** One address of the metadata store, and how it has been doing. */
export interface DatabaseEndpoint {
  readonly url: string
  readonly state: 'up' | 'down'
  /** Moving averages. */
  readonly latencyMs: { readonly read: number | undefined; readonly write: number | undefined }
  readonly requests: number
  readonly failures: number
}

export interface Deps {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
  readonly clock: Clock
  readonly settings: Settings
  readonly serviceVersion: string
  /** For failures that no answer ends with. Absent: they leave no line. */
  readonly log?: Log
  /** Absent: accesses are not counted. */
  readonly accesses?: AccessCounts
  /** Absent where the metadata store is not reached over a network. */
  readonly databaseEndpoints?: (() => readonly DatabaseEndpoint[]) | undefined
}
