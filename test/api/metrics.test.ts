import { afterEach, beforeEach, expect, test } from 'bun:test'
import { storeTotals } from '../../src/workers/store-totals.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { createFlow, expectStatus, register, uuid } from '../support/fixtures.ts'

let app: TestApp
beforeEach(async () => {
  app = await openApp({ http: { basePath: '/x-tams/v8.2' } })
})
afterEach(() => app.close())

const figures = async (): Promise<string[]> => {
  const response = await app.fetch('/metrics')
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  return (await response.text()).split('\n').filter((line) => !line.startsWith('#'))
}
/** Counting comes after the answer. */
const counted = async (line: string): Promise<void> => {
  while (!(await figures()).includes(line)) await new Promise((resolve) => setImmediate(resolve))
}

test('requests are counted by the template of their route, with and without the base path', async () => {
  const flow = await createFlow(app)
  expectStatus(await app.put(`/flows/${flow.id}/label`, 'a'), 204)
  expectStatus(await app.put(`/x-tams/v8.2/flows/${flow.id}/label`, 'b'), 204)
  await counted('tams_http_requests_total{method="PUT",route="/flows/:flowId/label",status="204"} 2')
  expect((await figures()).filter((line) => line.includes(String(flow.id)))).toEqual([])
})

test('whatever clients make up stays one series', async () => {
  for (let index = 0; index < 20; index++) {
    await app.fetch(`/${uuid()}/${index}`)
    await app.fetch('/flows', { method: `ODD${index}` })
  }
  await counted('tams_http_requests_total{method="GET",route="unmatched",status="404"} 20')
  const routes = (await figures()).filter((line) => line.startsWith('tams_http_requests_total') && line.includes('unmatched'))
  expect(routes.length).toBeLessThanOrEqual(3)
})

test('errors are counted by their type', async () => {
  expectStatus(await app.get(`/flows/${uuid()}`), 404)
  await counted('tams_errors_total{type="not_found"} 2')
})

test('totals are what the store holds', async () => {
  const { id } = await createFlow(app)
  await createFlow(app)
  await register(app, id, '[0:0_1:0)', '[1:0_2:0)', '[2:0_3:0)')
  const [object] = await app.deps.tables.read(
    async (tx) => (await tx.list('objects', { where: { kind: 'and', terms: [] }, limit: 1 })).rows,
  )
  await app.deps.tables.write(async (tx) => {
    await tx.lock([`object:${object?.id}`])
    if (object) await tx.put('objects', [{ ...object, size: 1234n }])
  })
  expect(await storeTotals(app.deps.tables, new AbortController().signal)).toEqual({ sources: 2, flows: 2, segments: 3, bytes: 1234 })
})
