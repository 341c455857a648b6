import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Browser, chromium } from 'playwright-core'
import { openApp, type TestApp } from '../support/app.ts'

const executablePath = ['chromium', 'chromium-browser', 'google-chrome'].map((name) => Bun.which(name)).find((found) => found !== null)
if (executablePath === undefined) console.warn('skipped: the documentation page in a browser, because there is no chromium')

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

describe.skipIf(executablePath === undefined)('the documentation page in a browser', () => {
  let app: TestApp
  let browser: Browser
  beforeAll(async () => {
    app = await openApp({ http: { basePath: '/x-tams/v8.2' } })
    browser = await chromium.launch({ executablePath: executablePath ?? '', args })
  })
  afterAll(async () => {
    await browser?.close()
    await app?.close()
  })

  test.each(['', '/x-tams/v8.2'])(
    'at %s/docs shows the operations and tries one, with nothing from elsewhere and no error',
    async (base) => {
      const home = `http://127.0.0.1:${app.listen()}`
      const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } })
      const requests: string[] = []
      const problems: string[] = []
      page.on('request', (request) => void requests.push(request.url()))
      page.on('console', (message) => void (/error|warning/.test(message.type()) && problems.push(message.text())))
      page.on('pageerror', (error) => void problems.push(String(error)))
      page.on('requestfailed', (request) => void problems.push(`${request.url()} failed`))

      await page.goto(`${home}${base}/docs`)
      const operations = page.locator('.opblock')
      await operations.first().waitFor()
      expect(page.url()).toBe(`${home}${base}/docs/`)
      expect(await page.locator('.info .title').textContent()).toContain('vast-tams')
      expect(await operations.count()).toBeGreaterThan(55)
      expect(await page.locator('.errors-wrapper').count()).toBe(0)

      const listFlows = page.locator('.opblock-get', { has: page.locator('[data-path="/flows"]') })
      await listFlows.locator('.opblock-summary-control').click()
      await listFlows.getByText('Only flows of this source.').waitFor()
      await listFlows.getByRole('button', { name: 'Try it out' }).click()
      await listFlows.getByRole('button', { name: 'Execute' }).click()
      const answer = listFlows.locator('.live-responses-table')
      await answer.locator('.microlight').first().waitFor()
      expect(await answer.locator('.response-col_status').last().textContent()).toContain('200')
      expect(await answer.textContent()).toContain('x-paging-limit')

      expect(problems).toEqual([])
      expect(requests).toContain(`${home}${base}/openapi.json`)
      expect(requests).toContain(`${home}${base}/flows?timerange=_&sort_by=created&reverse_order=false`)
      expect(requests.filter((url) => !url.startsWith(`${home}${base}/`) && !url.startsWith('data:'))).toEqual([])
      await page.close()
    },
  )
})
