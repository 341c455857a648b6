import type { Clock } from '../core/clock.ts'
import type { Tables } from '../storage/tables.ts'
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
  readonly getUrlsMaxCount: number
  readonly storagePath: string
  /** Hosts on this machine or a private network that URLs named by clients may lead to. */
  readonly webhookAllowedHosts: readonly string[]
  /** Seconds. */
  readonly uploadUrlTimeout: number
  /** Seconds. */
  readonly downloadUrlTimeout: number
}

export interface Deps {
  readonly tables: Tables
  readonly backends: readonly MediaBackend[]
  readonly clock: Clock
  readonly settings: Settings
  readonly serviceVersion: string
}
