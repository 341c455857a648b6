import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { TamsError } from '../../core/errors.ts'
import { compareText } from '../../core/text-order.ts'
import type { ListedObject } from '../media.ts'
import type { Bucket } from './client.ts'
import { toModifiedUs } from './read.ts'

const WHAT = 'The objects could not be listed'

/** Pages of 1000. Throws when the service does not list in order: who merges two lists would miss objects without noticing. */
export async function* listObjects(
  bucket: Bucket,
  after: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  let last = after
  let ContinuationToken: string | undefined
  do {
    // URL encoding, because XML cannot carry every character that a key may have.
    const command = new ListObjectsV2Command({
      Bucket: bucket.name,
      EncodingType: 'url',
      ...(ContinuationToken === undefined ? { StartAfter: after } : { ContinuationToken }),
    })
    const page = await bucket.attempt(WHAT, signal, (options) => bucket.client.send(command, options))
    for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
      if (Key === undefined) continue
      const key = page.EncodingType === 'url' ? decodeKey(Key) : Key
      if (last !== undefined && compareText(key, last) <= 0)
        throw new TamsError('unavailable', `${WHAT}: the S3 service listed ${JSON.stringify(key)} behind ${JSON.stringify(last)}`)
      last = key
      yield { key, size: Size ?? 0, etag: ETag ?? '""', modifiedUs: toModifiedUs(LastModified) }
    }
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
  } while (ContinuationToken !== undefined)
}

// As forms encode: a space may come as a plus sign.
const decodeKey = (encoded: string): string => decodeURIComponent(encoded.replaceAll('+', ' '))
