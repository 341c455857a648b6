import { afterAll, beforeAll, expect, test } from 'bun:test'
import { openApp, type TestApp } from '../support/app.ts'
import { inconsistencies } from '../support/consistency.ts'
import { createFlow, expectStatus, multiFlow, readFlow, uuid, videoFlow } from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

test('a flow can be deleted although its collectors then list their sources in another order than each other [5.5] [11.2]', async () => {
  const [shared, collecting] = [uuid(), uuid()]
  const first = await createFlow(app, videoFlow({ source_id: shared }))
  const middle = await createFlow(app)
  const last = await createFlow(app, videoFlow({ source_id: shared }))
  const flow_collection = [first, middle, last].map(({ id }) => ({ id }))
  const one = await createFlow(app, multiFlow({ source_id: collecting, flow_collection }))
  const other = await createFlow(app, multiFlow({ source_id: collecting, flow_collection }))
  expectStatus(await app.delete(`/flows/${first.id}`), 204)
  for (const { id } of [one, other]) expect((await readFlow(app, id)).flow_collection).toEqual([{ id: middle.id }, { id: last.id }])
  expect(await inconsistencies(app.deps.tables)).toEqual([])
})
