import { afterAll, beforeAll, expect, test } from 'bun:test'
import { type Context, seesEverything } from '../../src/domain/context.ts'
import { createDomain, type Domain } from '../../src/domain/index.ts'
import { object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectStatus, readFlow, readSource, register, uuid, videoFlow } from '../support/fixtures.ts'

let app: TestApp
let domain: Domain
beforeAll(async () => {
  app = await openApp({ settings: { asyncDeletionThreshold: 0 } })
  domain = createDomain(app.deps)
})
afterAll(() => app.close())

const as = (name: string): Context => ({
  principal: { name },
  visible: seesEverything,
  requestId: 'a request',
  baseUrl: 'http://localhost',
})

test('created_by and updated_by of a flow and its source are who made the requests [5.1-S1] [11.4-S3]', async () => {
  const body = videoFlow()
  await domain.flows.put(as('ann'), body.id, () => body)
  expect(await readFlow(app, body.id)).toMatchObject({ created_by: 'ann' })
  await domain.flows.put(as('bob'), body.id, () => ({ ...body, label: 'x' }))
  expect(await readFlow(app, body.id)).toMatchObject({ created_by: 'ann', updated_by: 'bob' })
  expect(await readSource(app, body.source_id)).toMatchObject({ created_by: 'ann', updated_by: 'ann' })
  await domain.sources.setText(as('cid'), body.source_id, 'label', () => 'y')
  await domain.flowProperties.setText(as('dan'), body.id, 'label', () => 'z')
  expect(await readSource(app, body.source_id)).toMatchObject({ created_by: 'ann', updated_by: 'cid' })
  expect(await readFlow(app, body.id)).toMatchObject({ created_by: 'ann', updated_by: 'dan' })
})

test('created_by of a profile is who posted it [3.4-S1]', async () => {
  const { id: _, source_id: __, ...flow_metadata } = videoFlow()
  const id = uuid()
  await domain.profiles.create(as('ann'), id, { id, flow_metadata })
  expect(object(expectStatus(await app.get(`/service/profiles/${id}`), 200)).created_by).toBe('ann')
})

test('created_by of a delete request is who deleted [9-S1]', async () => {
  const body = videoFlow()
  await domain.flows.put(as('ann'), body.id, () => body)
  await register(app, body.id, '[0:0_1:0)')
  const request = await domain.flows.deleteFlow(as('bob'), body.id)
  expect(object(expectStatus(await app.get(`/flow-delete-requests/${request?.id}`), 200)).created_by).toBe('bob')
})
