import { Type } from '@sinclair/typebox'
import type { Context } from './context.ts'
import type { Deps } from './deps.ts'
import { isControlled, type ObjectInstance } from './media-object.ts'
import type { MediaBackend, StorageBackend } from './storage-backend.ts'
import { matchesTags, type TagFilter } from './tags.ts'
import { TagSet, Uuid } from './validate.ts'

/** Which URLs of an object to show (tams-behaviour.md 6.1); all given filters must hold. */
export interface UrlOptions {
  /** Only these labels; empty: no URLs at all. */
  readonly acceptGetUrls?: readonly string[]
  /** Only these backends; empty: no filter. */
  readonly acceptStorageIds?: readonly string[]
  readonly presigned?: boolean
  readonly verboseStorage: boolean
  readonly backendTags: readonly TagFilter[]
  /** Behind each signed URL a second one for HEAD; it takes no place among those that are counted. An extension. */
  readonly headUrls?: boolean
}

export const GetUrl = Type.Object({
  url: Type.String(),
  presigned: Type.Optional(Type.Boolean()),
  label: Type.Optional(Type.String()),
  storage_id: Type.Optional(Uuid),
  controlled: Type.Optional(Type.Boolean()),
  store_type: Type.Optional(Type.String()),
  provider: Type.Optional(Type.String()),
  region: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  store_product: Type.Optional(Type.String()),
  tags: Type.Optional(TagSet),
})

export interface GetUrlItem extends Partial<Omit<StorageBackend, 'id' | 'default_storage'>> {
  readonly url: string
  readonly presigned?: boolean
  readonly storage_id?: string
  readonly controlled?: boolean
}

/** Beyond the advertised life of a pre-signed URL: clocks differ, and requests take time (tams-behaviour.md 3.2). */
export const URL_GRACE_SECONDS = 60

/** The URLs of one object, the default backend's first. */
export type UrlMaker = (instances: readonly ObjectInstance[], contentType: string | null) => GetUrlItem[]

/** Everything that is the same for all objects of a page is settled once here, so that an object costs little more than its signature. */
export const urlMaker = ({ backends, clock, settings }: Deps, context: Context, options: UrlOptions): UrlMaker => {
  const { acceptGetUrls, presigned } = options
  if (acceptGetUrls?.length === 0) return () => []
  const labels = acceptGetUrls && new Set(acceptGetUrls)
  const storageIds = options.acceptStorageIds?.length ? new Set(options.acceptStorageIds) : undefined
  const shown = backends
    .filter(({ info }) => labels === undefined || (info.label !== undefined && labels.has(info.label)))
    .filter(({ info }) => storageIds?.has(info.id) ?? true)
    .filter(({ info }) => matchesTags(info.tags, options.backendTags))
    .sort((a, b) => Number(b.info.default_storage ?? false) - Number(a.info.default_storage ?? false))
    .map((backend) => ({ ...backend, members: backendMembers(backend, options.verboseStorage) }))
  // A URL without a backend has no tags: only `tag_exists=false` keeps it.
  const showUncontrolled = storageIds === undefined && presigned !== true && matchesTags(undefined, options.backendTags)
  const expiresInSeconds = settings.downloadUrlTimeout + URL_GRACE_SECONDS
  const { baseUrl } = context
  const nowUs = clock.nowUs()

  return (instances, contentType) => {
    const urls: GetUrlItem[] = []
    const heads = options.headUrls ? new Map<GetUrlItem, GetUrlItem>() : undefined
    const type = contentType ?? undefined
    for (const { info, store, members } of shown) {
      for (const instance of instances) {
        if (!isControlled(instance) || instance.storage_id !== info.id || instance.status !== 'ready') continue
        if (presigned !== false) {
          const signing = { baseUrl, contentType: type, expiresInSeconds, nowUs }
          const item = { url: store.downloadUrl(instance.key, signing), presigned: true, ...members }
          urls.push(item)
          heads?.set(item, { ...item, url: store.downloadUrl(instance.key, { ...signing, method: 'HEAD' }), label: headLabel(info) })
        }
        const plain = presigned === true ? undefined : store.plainUrl(instance.key, { contentType: type })
        if (plain !== undefined) urls.push({ url: plain, presigned: false, ...members })
      }
    }
    if (showUncontrolled)
      for (const instance of instances)
        if (!isControlled(instance) && (labels?.has(instance.label) ?? true))
          urls.push({ url: instance.url, label: instance.label, ...(options.verboseStorage && { controlled: false }) })
    const shownUrls = urls.length > settings.getUrlsMaxCount ? urls.slice(0, settings.getUrlsMaxCount) : urls
    return heads ? shownUrls.flatMap((item) => [item, heads.get(item) ?? []].flat()) : shownUrls
  }
}

const headLabel = ({ label }: StorageBackend): string => (label === undefined ? 'HEAD' : `${label} HEAD`)

const backendMembers = ({ info }: MediaBackend, verbose: boolean): Omit<GetUrlItem, 'url'> => {
  const { id, label, default_storage: _, ...metadata } = info
  const named = label === undefined ? {} : { label }
  return verbose ? { ...named, storage_id: id, controlled: true, ...metadata } : named
}
