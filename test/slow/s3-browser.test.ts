import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Browser, chromium } from 'playwright-core'
import { newBucket, openS3Store, type S3Server, s3Servers } from '../support/s3-servers.ts'

const executablePath = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => Bun.which(name)).find((found) => found !== null)
if (executablePath === undefined) console.warn('SKIPPED: S3 from a browser, because there is no chromium')

const args = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
const key = 'tams/2026/11/21/object'
const minute = { baseUrl: '', contentType: 'video/mp2t', expiresInSeconds: 60 }

describe.skipIf(executablePath === undefined)('a page in a browser', () => {
  let browser: Browser
  let origin: Bun.Server<undefined>
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args })
    origin = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response('<p>', { headers: { 'content-type': 'text/html' } }) })
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await origin?.stop(true)
  })

  for (const kind of s3Servers)
    describe(`with a bucket on ${kind.name}`, () => {
      let server: S3Server
      beforeAll(async () => {
        server = await kind.start()
      }, 120_000)
      afterAll(() => server.stop())

      test('uploads to and reads a range from signed URLs once the CORS rules are set', async () => {
        const store = await openS3Store(server.endpoint, await newBucket(server.endpoint))
        const origins = [`http://127.0.0.1:${origin.port}`]
        if (kind.setsCors) await store.setCors(origins)
        const page = await browser.newPage()
        await page.goto(origins[0] ?? '')
        const { url, headers } = await store.uploadUrl(key, minute)
        const put = (target: string, sent: Readonly<Record<string, string>>) =>
          page.evaluate(async ([to, more]) => (await fetch(to, { method: 'PUT', headers: more, body: '0123456789' })).status, [
            target,
            sent,
          ] as const)
        expect(await put(url, headers)).toBe(200)
        const read = await page.evaluate(
          async (from) => {
            const answer = await fetch(from, { headers: { range: 'bytes=3-5' } })
            return [answer.status, await answer.text(), answer.headers.get('content-range'), answer.headers.has('etag')]
          },
          store.downloadUrl(key, minute),
        )
        expect(read).toEqual([206, '345', 'bytes 3-5/10', true])
        await page.close()
      }, 120_000)
    })
})
