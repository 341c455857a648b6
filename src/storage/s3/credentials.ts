import type { S3Client } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import type { SigningCredentials } from './presign.ts'

/** Those of a role run out: new ones are fetched this long before. */
const AHEAD_MS = 10 * 60_000
const RETRY_MS = 30_000

export interface CurrentCredentials {
  /** At once: URLs are signed where nothing can wait. The same object while they are the same. */
  current(): SigningCredentials
}

/** Fetched once here, and again before they run out. Throws `unavailable` when there are none. */
export const keepCredentials = async (client: S3Client): Promise<CurrentCredentials> => {
  const fetched = await fetchCredentials(client)
  let current: SigningCredentials = fetched
  const renewAt = (expiration: Date | undefined): void => {
    if (!expiration) return
    const delay = Math.max(RETRY_MS, expiration.getTime() - Date.now() - AHEAD_MS)
    // The program may end without waiting for it.
    setTimeout(() => void renew(expiration), Math.min(delay, 2 ** 31 - 1)).unref()
  }
  const renew = async (expiration: Date): Promise<void> => {
    try {
      const next = await fetchCredentials(client)
      if (next.accessKeyId !== current.accessKeyId || next.sessionToken !== current.sessionToken) current = next
      renewAt(next.expiration)
    } catch {
      // The old ones are good for a while; the operations of the store tell when they no longer are.
      renewAt(expiration)
    }
  }
  renewAt(fetched.expiration)
  return { current: () => current }
}

const fetchCredentials = async (client: S3Client): Promise<SigningCredentials & { readonly expiration?: Date | undefined }> => {
  try {
    return await client.config.credentials()
  } catch (cause) {
    throw new TamsError(
      'unavailable',
      'There are no credentials for S3: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or what the AWS SDK reads',
      {
        cause,
      },
    )
  }
}
