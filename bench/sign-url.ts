/** The disk engine's signed URLs; no other signer is measured beside them. `bun run bench/sign-url.ts` */
import { systemClock } from '../src/core/clock.ts'
import { createSigner } from '../src/storage/disk/signing.ts'
import { createMediaUrls } from '../src/storage/disk/urls.ts'
import { median } from './support/machine.ts'
import { against, fixed, type Result, report } from './support/report.ts'

const MOST_US = 2
const BATCH = 20_000
const BATCHES = 15

const options = { baseUrl: 'http://127.0.0.1:8000', contentType: 'video/mp2t', expiresInSeconds: 3600 }

export const signUrl = (): Result[] => {
  const secret = 'a secret of at least thirty-two characters'
  const storageId = '11111111-1111-4111-8111-111111111111'
  const signer = createSigner(secret, storageId)
  const urls = createMediaUrls({ storageId, secret, clock: systemClock() })
  const result = (what: string, us: number): Result => ({ what, figure: `${fixed(us)} µs`, target: against(us, MOST_US, 'at most') })
  return [
    result(
      'disk engine, signature',
      measure((key) => signer.sign('read', key, 1_795_000_000, '')),
    ),
    result(
      'disk engine, whole signed URL',
      measure((key) => urls.download(key, options)),
    ),
  ]
}

const keys = Array.from({ length: BATCH }, (_, i) => `tams/2026/11/21/${i.toString(16).padStart(32, '0')}`)

/** Median microseconds of one call. The lengths are summed up so that no call can be left out. */
const measure = (make: (key: string) => string): number => {
  const times: number[] = []
  let length = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    const began = performance.now()
    for (const key of keys) length += make(key).length
    times.push(((performance.now() - began) * 1000) / BATCH)
  }
  if (length === 0) throw new Error('nothing was signed')
  return median(times)
}

if (import.meta.main) report(signUrl())
