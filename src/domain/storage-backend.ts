import type { MediaStore } from '../storage/media.ts'

export type Tags = Readonly<Record<string, string | readonly string[]>>

/** `storage-backends-list` items: populated at deployment, read-only afterwards (tams-behaviour.md 3.3). */
export interface StorageBackend {
  readonly id: string
  readonly label?: string
  readonly store_type: 'http_object_store'
  readonly provider: string
  readonly region?: string
  readonly availability_zone?: string
  readonly store_product: string
  readonly default_storage?: boolean
  readonly tags?: Tags
}

export interface MediaBackend {
  readonly info: StorageBackend
  readonly store: MediaStore
}
