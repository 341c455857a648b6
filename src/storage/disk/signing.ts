import { timingSafeEqual } from 'node:crypto'

/** What a signature allows: `read` is GET and HEAD, `head` only HEAD. */
export type Access = 'read' | 'head' | 'write'

export interface Signer {
  /** `expires` in seconds since the Unix epoch. `contentType` is part of what a `write` signature allows, and '' otherwise. */
  sign(access: Access, key: string, expires: number, contentType: string): string
  /** In a time that does not depend on where the signatures differ. */
  matches(signature: string, access: Access, key: string, expires: number, contentType: string): boolean
}

/**
 * HMAC-SHA-256 over access, storage id, expiry, content type and key. The keyed state is made once and copied for each URL
 * (0.4 µs; a new HMAC each time takes 0.8 µs). The HMAC's key is derived, because the same secret signs other things too.
 */
export const createSigner = (secret: string, storageId: string): Signer => {
  const derived = new Bun.CryptoHasher('sha256', secret).update('vast-tams media url 1').digest()
  const keyed = new Bun.CryptoHasher('sha256', derived)
  const storage = encodeURIComponent(storageId)

  const sign: Signer['sign'] = (access, key, expires, contentType) =>
    // The escaped members have no line feed and the key comes last: no two inputs give the same text.
    keyed
      .copy()
      .update(`${access}\n${storage}\n${expires}\n${contentType === '' ? '' : encodeURIComponent(contentType)}\n${key}`)
      .digest('base64url')

  return {
    sign,
    matches(signature, access, key, expires, contentType) {
      const given = Buffer.from(signature, 'latin1')
      const expected = Buffer.from(sign(access, key, expires, contentType), 'latin1')
      return given.length === expected.length && timingSafeEqual(given, expected)
    },
  }
}
