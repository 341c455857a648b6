import { PutBucketCorsCommand } from '@aws-sdk/client-s3'
import type { Bucket } from './client.ts'

/** What pages in a browser need: upload, play with ranges, and see the headers that players look at. */
export const setBucketCors = async (bucket: Bucket, origins: '*' | readonly string[], signal?: AbortSignal): Promise<void> => {
  const rule = {
    ID: 'tams',
    AllowedOrigins: origins === '*' ? ['*'] : [...origins],
    AllowedMethods: ['GET', 'HEAD', 'PUT'],
    AllowedHeaders: ['*'],
    ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range', 'Accept-Ranges', 'Content-Type'],
    MaxAgeSeconds: 3600,
  }
  const command = new PutBucketCorsCommand({ Bucket: bucket.name, CORSConfiguration: { CORSRules: [rule] } })
  await bucket.attempt('The CORS rules of the bucket could not be set', signal, (options) => bucket.client.send(command, options))
}

/** Asked as a browser asks. Gives the first pair of origin and method that the bucket refuses; undefined: it takes them all. */
export const findRefusedPreflight = async (
  bucketUrl: string,
  origins: '*' | readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> => {
  for (const origin of origins === '*' ? ['https://browser.example'] : origins) {
    for (const [method, headers] of [
      ['GET', 'range'],
      ['PUT', 'content-type,if-none-match'],
    ] as const) {
      const asked = { origin, 'access-control-request-method': method, 'access-control-request-headers': headers }
      const answer = await fetch(`${bucketUrl}/tams-preflight`, { method: 'OPTIONS', headers: asked, signal })
      const allowed = answer.headers.get('access-control-allow-origin')
      if (!answer.ok || (allowed !== '*' && allowed !== origin)) return `${method} from ${origin}`
    }
  }
  return undefined
}
