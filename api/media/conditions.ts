import type { StoredObject } from '../../src/storage/media.ts'

/** `Last-Modified`, in whole seconds. */
export const lastModified = (modifiedUs: bigint): string => new Date(Number(modifiedUs / 1000n)).toUTCString()

/** Whether the client's copy is current: `If-None-Match`, or `If-Modified-Since` where that is absent (RFC 9110 13.2.2). */
export const isNotModified = (headers: Headers, object: StoredObject): boolean => {
  const noneMatch = headers.get('if-none-match')
  if (noneMatch !== null) {
    return noneMatch.trim() === '*' || noneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === object.etag)
  }
  const since = Date.parse(headers.get('if-modified-since') ?? '')
  return Number.isFinite(since) && object.modifiedUs / 1_000_000n <= BigInt(Math.floor(since / 1000))
}

/** Whether `Range` applies: there is no `If-Range`, or it names this very version (strong comparison, exact date). */
export const rangeApplies = (headers: Headers, object: StoredObject): boolean => {
  const condition = headers.get('if-range')?.trim()
  return condition === undefined || condition === object.etag || condition === lastModified(object.modifiedUs)
}
