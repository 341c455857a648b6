import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { auditRetentionWorker } from '../../src/workers/audit-retention.ts'
import { list, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { createFlow, expectInvalid, expectStatus, ids, register, uuid, videoFlow, walk } from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

describe('the audit trail', () => {
  let app: TestApp
  beforeEach(async () => {
    app = await openApp({ settings: { strict: false } })
  })
  afterEach(() => app.close())

  const actions = async (query = '') => list(expectStatus(await app.get(`/audit${query}`), 200)).map((row) => row.action)

  test('has every change, newest first, with who, when, what and the request', async () => {
    const flow = videoFlow()
    expectStatus(await app.request('PUT', `/flows/${flow.id}`, { body: flow, headers: { 'x-request-id': 'req-1' } }), 201)
    expectStatus(await app.put(`/flows/${flow.id}/label`, 'A'), 204)
    const [latest, first] = list(expectStatus(await app.get(`/audit?entity_id=${flow.id}`), 200))
    expect(first).toMatchObject({
      principal: 'anonymous',
      action: 'flow.create',
      entity_type: 'flow',
      entity_id: flow.id,
      request_id: 'req-1',
      time: expect.stringMatching(/^2026-01-02T03:04:05\.\d{6}Z$/),
    })
    expect(latest).toMatchObject({ action: 'flow.label.set', detail: { members: ['label'] } })
  })

  test('has nothing of what failed or changed nothing', async () => {
    const flow = await createFlow(app, videoFlow({ label: 'A' }))
    const before = await actions()
    expectStatus(await app.put(`/flows/${flow.id}/label`, 'A'), 204)
    expectInvalid(await app.put(`/flows/${flow.id}/label`, 3))
    expectStatus(await app.delete(`/flows/${uuid()}`), 404)
    expect(await actions()).toEqual(before)
  })

  test('filters combine', async () => {
    const [a, b] = [await createFlow(app), await createFlow(app)]
    app.clock.advance(3600)
    await register(app, a.id, '[0:0_1:0)')
    expect(await actions(`?entity_id=${a.id}&entity_type=flow`)).toEqual(['flow.segments.add', 'flow.create'])
    expect(await actions('?action=flow.create')).toHaveLength(2)
    expect(await actions('?principal=nobody')).toEqual([])
    expect(await actions('?since=2026-01-02T04:00:00Z')).toEqual(['flow.segments.add'])
    expect(await actions(`?until=2026-01-02T04:00:00Z&entity_id=${b.id}`)).toEqual(['flow.create'])
    expectInvalid(await app.get('/audit?since=yesterday'), 'since')
    expectInvalid(await app.get('/audit?format=xml'), 'format')
  })

  test('pages follow each other in both orders', async () => {
    for (let count = 0; count < 7; count++) await createFlow(app)
    const newest = await walk(app, '/audit?limit=3')
    const oldest = await walk(app, '/audit?limit=2&reverse_order=true')
    expect(newest).toHaveLength(7)
    expect(ids(oldest)).toEqual(ids(newest).reverse())
  })

  test('as CSV it has all rows, quoted, and no formulas', async () => {
    for (let count = 0; count < 3; count++) await createFlow(app)
    const flow = await createFlow(app)
    const evil = '=1+1,"x"'
    expectStatus(await app.request('PUT', `/flows/${flow.id}/label`, { body: 'L', headers: { 'x-request-id': 'plain' } }), 204)
    await app.deps.tables.write(async (tx) => {
      const [row] = (await tx.list('audit', { where: { kind: 'and', terms: [] }, limit: 1 })).rows
      if (row) await tx.insert('audit', [{ ...row, id: `f${row.id.slice(1)}`, principal: evil }])
    })
    const response = await app.fetch('/audit?format=csv&limit=1')
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    const lines = (await response.text()).trimEnd().split('\r\n')
    expect(lines[0]).toBe('time,principal,action,entity_type,entity_id,request_id,id,detail')
    expect(lines).toHaveLength(1 + 6)
    expect(lines[1]).toContain(`"'=1+1,""x"""`)
  })

  test('the summary counts by principal, action and day', async () => {
    const flow = await createFlow(app)
    await createFlow(app)
    app.clock.advance(86_400)
    await app.put(`/flows/${flow.id}/label`, 'A')
    expect(object(expectStatus(await app.get('/audit/summary'), 200))).toEqual({
      total: 3,
      by_principal: [{ principal: 'anonymous', count: 3 }],
      by_action: [
        { action: 'flow.create', count: 2 },
        { action: 'flow.label.set', count: 1 },
      ],
      by_day: [
        { day: '2026-01-02', count: 2 },
        { day: '2026-01-03', count: 1 },
      ],
    })
    expect(object(await app.get('/audit/summary?action=flow.label.set')).total).toBe(1)
    expect(object(await app.get('/audit/summary?principal=x'))).toEqual({ total: 0, by_principal: [], by_action: [], by_day: [] })
  })

  test('rows older than the retention go, younger ones stay', async () => {
    for (let count = 0; count < 5; count++) await createFlow(app)
    app.clock.advance(1000)
    const kept = await createFlow(app)
    app.clock.advance(500)
    await runUntilIdle(app.deps, auditRetentionWorker({ ...app.deps, retentionMs: 1_000_000 }))
    expect((await walk(app, '/audit')).map((row) => row.entity_id)).toEqual([kept.id])
  })

  test('no secret of a webhook reaches it, nor the log of events', async () => {
    const secrets = { api_key_name: 'x-key', api_key_value: 'SECRET-API-KEY' }
    const hook = { url: 'https://example.com/hook?token=x', events: ['flows/created'], ...secrets }
    const made = object(expectStatus(await app.post('/service/webhooks', hook), 201))
    expectStatus(
      await app.put(`/service/webhooks/${made.id}`, { ...hook, id: made.id, status: 'disabled', api_key_value: 'SECRET-2' }),
      201,
    )
    const signing = object(await app.get(`/service/webhooks/${made.id}/signing-secret`))
    await app.request('POST', `/service/webhooks/${made.id}/signing-secret/rotate`)
    expect(await actions('?entity_type=webhook')).not.toEqual([])
    const text = JSON.stringify(await walk(app, '/audit')) + JSON.stringify(await walk(app, '/events'))
    expect(text).not.toContain('SECRET')
    for (const value of Object.values(signing)) if (typeof value === 'string' && value.length > 20) expect(text).not.toContain(value)
  })
})
