import { describe, expect, test } from 'bun:test'
import { GetObjectCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import fc from 'fast-check'
import { createBucket } from '../../../src/storage/s3/client.ts'
import { createPresigner, MAX_VALIDITY_SECONDS } from '../../../src/storage/s3/presign.ts'
import { bucketUrlOf, stableWindow } from '../../../src/storage/s3/urls.ts'
import { oddKeys } from '../../contract/media.ts'

const region = 'eu-west-2'
const plain = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const role = { ...plain, accessKeyId: 'ASIA/+=', sessionToken: 'FwoGZXIvYXdzE/+==' }
const signedAtMs = Date.UTC(2026, 10, 21, 3, 4, 5)

const places = [
  ['in the path', { endpoint: 'http://127.0.0.1:9000', bucket: 'media', pathStyle: true }],
  ['in the path below a prefix', { endpoint: 'https://s3.example:8443/gateway', bucket: 'media', pathStyle: true }],
  ['in the host', { endpoint: 'https://s3.eu-west-2.amazonaws.com', bucket: 'media', pathStyle: false }],
  ['with dots, which TLS has in the path', { endpoint: 'https://s3.eu-west-2.amazonaws.com', bucket: 'my.media', pathStyle: false }],
  ['in the host of a server with a port', { endpoint: 'http://localhost:9000', bucket: 'media', pathStyle: false }],
] as const

describe('a signed URL is the one that the SDK makes', () => {
  const signers = async (place: (typeof places)[number][1], credentials: typeof plain | typeof role) => {
    const settings = { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' } as const
    const client = new S3Client({ endpoint: place.endpoint, forcePathStyle: place.pathStyle, region, credentials, ...settings })
    const ours = createPresigner(await bucketUrlOf(createBucket({ ...place, ...plain, region })), region)
    return {
      ours: (key: string, expiresInSeconds: number, ms = signedAtMs) => ours.get(key, { credentials, signedAtMs: ms, expiresInSeconds }),
      theirs: (key: string, expiresIn: number, ms = signedAtMs) =>
        getSignedUrl(client, new GetObjectCommand({ Bucket: place.bucket, Key: key }), { expiresIn, signingDate: new Date(ms) }),
      ourHead: (key: string) => ours.head(key, { credentials, signedAtMs, expiresInSeconds: 3600 }),
      theirHead: (key: string) =>
        getSignedUrl(client, new HeadObjectCommand({ Bucket: place.bucket, Key: key }), {
          expiresIn: 3600,
          signingDate: new Date(signedAtMs),
        }),
    }
  }

  test.each(places)('for a bucket %s, for every odd key', async (_title, place) => {
    const { ours, theirs, ourHead, theirHead } = await signers(place, plain)
    for (const key of oddKeys) expect(ours(key, 3600)).toBe(await theirs(key, 3600))
    for (const key of oddKeys) expect(ourHead(key)).toBe(await theirHead(key))
  })

  test('for any key, moment and validity, also with the session token of a role', async () => {
    for (const credentials of [plain, role]) {
      const { ours, theirs } = await signers(places[0][1], credentials)
      const key = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'grapheme', minLength: 1 }))
      const moment = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000)
      const property = fc.asyncProperty(key, moment, fc.integer({ min: 1, max: MAX_VALIDITY_SECONDS }), async (text, ms, seconds) => {
        expect(ours(text, seconds, ms)).toBe(await theirs(text, seconds, ms))
      })
      await fc.assert(property, { numRuns: 150 })
    }
  })

  test('after the credentials were renewed at the same moment', async () => {
    const presigner = createPresigner('http://127.0.0.1:9000/media', region)
    const options = { signedAtMs, expiresInSeconds: 60 }
    const before = presigner.get('k', { credentials: plain, ...options })
    const after = presigner.get('k', { credentials: role, ...options })
    expect(after).not.toBe(before)
    expect(presigner.get('k', { credentials: plain, ...options })).toBe(before)
  })
})

describe('the time window of a download URL', () => {
  const seconds = fc.integer({ min: 1, max: MAX_VALIDITY_SECONDS })
  const now = fc.integer({ min: 1_500_000_000_000, max: 4_000_000_000_000 })

  test('leaves at least the validity that was asked for, and S3 takes it', () => {
    fc.assert(
      fc.property(now, seconds, (nowMs, asked) => {
        const { signedAtMs: signed, expiresInSeconds } = stableWindow(nowMs, asked)
        expect(signed).toBeLessThanOrEqual(nowMs)
        expect(expiresInSeconds).toBeLessThanOrEqual(MAX_VALIDITY_SECONDS)
        // One second is lost where validity is as long as S3 allows: a signature counts whole seconds.
        const lost = asked === MAX_VALIDITY_SECONDS ? 1000 : 0
        expect(signed + expiresInSeconds * 1000 - nowMs).toBeGreaterThanOrEqual(asked * 1000 - lost)
      }),
    )
  })

  test('is as long as the validity, up to half of what S3 allows', () => {
    fc.assert(
      fc.property(now, fc.integer({ min: 1, max: MAX_VALIDITY_SECONDS / 2 }), (nowMs, asked) => {
        const { signedAtMs: start } = stableWindow(nowMs, asked)
        expect(stableWindow(start + asked * 1000 - 1, asked)).toEqual(stableWindow(start, asked))
        expect(stableWindow(start + asked * 1000, asked).signedAtMs).toBe(start + asked * 1000)
      }),
    )
  })
})
