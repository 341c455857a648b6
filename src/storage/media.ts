/**
 * The bytes of media objects. One MediaStore is one storage backend. A `key` is the path of an object inside its backend:
 * `{TAMS_STORAGE_PATH}/{yyyy}/{mm}/{dd}/{object_id}`, any well-formed text; an engine keeps it from escaping its root.
 */
export interface MediaStore {
  /** The storage backend's id. */
  readonly storageId: string
  /** Throws `invalid` for a key that this engine cannot hold. Absent: it holds every key. */
  checkKey?(key: string): void
  /** Rejects with `unavailable` while upload URLs could not be made. Absent: they always can. Cheap after the first time. */
  prepareUploads?(): Promise<void>
  /** Where a client PUTs the whole object. Valid for at least `expiresInSeconds`. */
  uploadUrl(key: string, options: UploadUrlOptions): Promise<UploadTarget>
  /** Where a client GETs the object. Called hundreds of times a page: synchronous and cheap. */
  downloadUrl(key: string, options: DownloadUrlOptions): string
  /** A URL without signature, or undefined where nobody could read it. */
  plainUrl(key: string, options: { readonly contentType: string | undefined }): string | undefined
  /**
   * Stores the whole object: durable when it resolves, nothing left when it fails. With `ifAbsent`, throws `exists` when
   * there is an object. Throws `invalid` when `md5` does not match, `storage_full`, `unavailable`.
   */
  put(key: string, body: ReadableStream<Uint8Array>, options: PutOptions): Promise<StoredObject>
  /** undefined when there is no such object; throws `range_not_satisfiable`. */
  get(key: string, options?: GetOptions): Promise<MediaBody | undefined>
  head(key: string, signal?: AbortSignal): Promise<StoredObject | undefined>
  /**
   * Stores a copy of an object of another backend, in the engine's best way: without its bytes passing through this program, or in
   * pieces that are kept when it fails, so that the same call later goes on behind them. The caller compares the bytes. Absent: `put`.
   */
  copyFrom?(key: string, source: CopySource, options: PutOptions): Promise<StoredObject>
  /** Forgets what a failed `copyFrom` has kept for this key. Safe to repeat. */
  discardCopy?(key: string, signal?: AbortSignal): Promise<void>
  /** Safe to repeat: a missing object is no error. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<void>
  /** In key order (by code point), for reconciliation. */
  list(options: { readonly after?: string; readonly signal?: AbortSignal }): AsyncIterable<ListedObject>
  check(signal?: AbortSignal): Promise<void>
}

export interface UploadUrlOptions {
  readonly baseUrl: string
  readonly contentType: string
  readonly expiresInSeconds: number
  readonly metadata?: ObjectMetadata
}

/**
 * What an engine keeps with the bytes where it can without asking anything of the client, for people and programs that meet an object
 * without its record: lower-case names and ASCII values, in S3 `x-amz-meta-…`. This program never reads it.
 */
export type ObjectMetadata = Readonly<Record<string, string>>

export interface DownloadUrlOptions {
  /** The endpoint the client used, without a trailing slash; engines with servers of their own ignore it. */
  readonly baseUrl: string
  readonly contentType: string | undefined
  /** At least so long; the exact moment is rounded so that URLs are stable for a while and caches can use them. */
  readonly expiresInSeconds: number
  /** The moment to count from, where many URLs are made at once. Default: now. */
  readonly nowUs?: bigint
  /** `HEAD`: good for that alone, where a URL for GET need not be good for HEAD. Default: GET. */
  readonly method?: 'GET' | 'HEAD'
}

export interface UploadTarget {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface PutOptions {
  readonly contentType: string
  /** `Content-MD5` as sent: base64. */
  readonly md5?: string
  readonly ifAbsent?: boolean
  readonly metadata?: ObjectMetadata
  readonly signal?: AbortSignal
}

/** An object that lies in `store` under `key`, as it was looked up. */
export interface CopySource {
  readonly store: MediaStore
  readonly key: string
  readonly object: StoredObject
  /** The bytes from `start` to the end. */
  open(start: number, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>
}

export interface StoredObject {
  /** Bytes. */
  readonly size: number
  /** Quoted entity tag, RFC 9110 8.8.3. */
  readonly etag: string
  readonly contentType: string
  readonly modifiedUs: bigint
}

/** S3 listings do not tell the content type. */
export interface ListedObject extends Omit<StoredObject, 'contentType'> {
  readonly key: string
}

/** A half-open byte range of the stored object. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface GetOptions {
  readonly range?: ByteRange
  readonly signal?: AbortSignal
}

export interface MediaBody extends StoredObject {
  readonly body: ReadableStream<Uint8Array>
}
