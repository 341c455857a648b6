import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openApp, strictByDefault, type TestApp } from '../support/app.ts'
import { allocateOne, createFlow, expectStatus, external, readFlow, readSource, register, uuid, videoFlow } from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newFlow = async (over: Record<string, unknown> = {}): Promise<string> => (await createFlow(app, videoFlow(over))).id
const body = async (path: string) => expectStatus(await app.get(path), 200).body

describe('tags of a flow', () => {
  test('are {} at first and keep their kind of value [5.6] [1.1-M4]', async () => {
    const id = await newFlow()
    expect(await body(`/flows/${id}/tags`)).toEqual({})
    expectStatus(await app.put(`/flows/${id}/tags/a`, 'b'), 204)
    expectStatus(await app.put(`/flows/${id}/tags/c`, ['d']), 204)
    expect(await body(`/flows/${id}/tags`)).toEqual({ a: 'b', c: ['d'] })
    expect(await body(`/flows/${id}/tags/c`)).toEqual(['d'])
    expect((await readFlow(app, id)).tags).toEqual({ a: 'b', c: ['d'] })
  })

  test('a missing tag is 404 for GET and DELETE [5.6]', async () => {
    const id = await newFlow({ tags: { a: 'b' } })
    expectStatus(await app.get(`/flows/${id}/tags/x`), 404)
    expectStatus(await app.delete(`/flows/${id}/tags/x`), 404)
    expectStatus(await app.delete(`/flows/${id}/tags/a`), 204)
    expectStatus(await app.get(`/flows/${id}/tags/a`), 404)
  })

  test.each([[5], [true], [null], [{ a: 'b' }], [[1]]])('the value %p is refused [5.6]', async (value) => {
    expectStatus(await app.put(`/flows/${await newFlow()}/tags/x`, value), 400)
  })

  test.each([['a/b/c'], ['100%'], ['%25'], ['white space'], ['☂ \u{1F3AC}'], ['?a=b&c#d'], ['dot.ted'], ['constructor'], ['+plus+']])(
    'the name %p makes the round trip [1.2] [5.6] [1.2-M3]',
    async (name) => {
      const id = await newFlow()
      const path = `/flows/${id}/tags/${encodeURIComponent(name)}`
      expectStatus(await app.get(path), 404)
      expectStatus(await app.put(path, 'value'), 204)
      expect(await body(path)).toBe('value')
      expect(Object.keys(Object(await body(`/flows/${id}/tags`)))).toEqual([name])
      expectStatus(await app.delete(path), 204)
      expectStatus(await app.get(path), 404)
    },
  )

  test.if(strictByDefault)('cannot be replaced as a whole by the specification: PUT of /tags is 405 [5.6] [B]', async () => {
    expectStatus(await app.put(`/flows/${await newFlow()}/tags`, {}), 405)
  })
})

describe.each([
  ['label', ['Camera 1', 'Straße ☂', ''], [5, null, ['a'], { a: 1 }, true]],
  ['description', ['A long text', ''], [5, null, ['a'], {}]],
  ['max_bit_rate', [0, 5000, 128], [-1, 1.5, '5000', true, null, [1], 1e30]],
  ['avg_bit_rate', [0, 5000], [-1, 0.1, '1', false, null, {}]],
])('%s of a flow', (property, good, bad) => {
  test('is null with 200 while unset [5.6] [5.9] [14.3]', async () => {
    expect(await body(`/flows/${await newFlow()}/${property}`)).toBeNull()
  })

  test.each(good.map((value) => [value]))(
    'takes %p, is read in the flow, and is unset by DELETE, also twice [5.6] [5.9] [5.9-M1] [1.1-M4]',
    async (value) => {
      const id = await newFlow()
      expectStatus(await app.put(`/flows/${id}/${property}`, value), 204)
      expect(await body(`/flows/${id}/${property}`)).toEqual(value)
      expect((await readFlow(app, id))[property]).toEqual(value)
      expectStatus(await app.delete(`/flows/${id}/${property}`), 204)
      expectStatus(await app.delete(`/flows/${id}/${property}`), 204)
      expect(await body(`/flows/${id}/${property}`)).toBeNull()
      expect(await readFlow(app, id)).not.toHaveProperty(property)
    },
  )

  test.each(bad.map((value) => [value]))('refuses %p and stays as it was [5.6] [5.9] [1.4] [5.9-M1]', async (value) => {
    const id = await newFlow()
    const before = await readFlow(app, id)
    expectStatus(await app.put(`/flows/${id}/${property}`, value), 400)
    expect(await readFlow(app, id)).toEqual(before)
  })

  test('of an unknown flow is 404, before the body is looked at [5.6] [5.9] [1.4] [5.9-M1]', async () => {
    const path = `/flows/${uuid()}/${property}`
    expectStatus(await app.get(path), 404)
    expectStatus(await app.put(path, { wrong: true }), 404)
    expectStatus(await app.request('PUT', path, { raw: '{' }), 404)
    expectStatus(await app.delete(path), 404)
  })
})

test('128.0 is an integer [1.4] [5.9]', async () => {
  const id = await newFlow()
  expectStatus(await app.request('PUT', `/flows/${id}/max_bit_rate`, { raw: '128.0' }), 204)
  expect(await body(`/flows/${id}/max_bit_rate`)).toBe(128)
})

describe('read_only', () => {
  test('is false when never set and takes booleans only [5.7] [5.7-M1] [5.7-M2] [1.1-M4]', async () => {
    const id = await newFlow()
    expect(await body(`/flows/${id}/read_only`)).toBe(false)
    for (const value of ['true', 1, null, []]) expectStatus(await app.put(`/flows/${id}/read_only`, value), 400)
    expectStatus(await app.put(`/flows/${id}/read_only`, true), 204)
    expect(await body(`/flows/${id}/read_only`)).toBe(true)
    expect((await readFlow(app, id)).read_only).toBe(true)
    expectStatus(await app.put(`/flows/${uuid()}/read_only`, true), 404)
  })

  test('has no DELETE [5.7] [5.7-M2]', async () => {
    expectStatus(await app.delete(`/flows/${await newFlow()}/read_only`), 405)
  })

  test('is the way out of itself, and a repeated PUT works on a read-only flow [5.7] [11.5] [5.7-M3] [11.5-M1]', async () => {
    const id = await newFlow({ read_only: true })
    expectStatus(await app.put(`/flows/${id}/read_only`, true), 204)
    expectStatus(await app.put(`/flows/${id}/read_only`, false), 204)
    expectStatus(await app.put(`/flows/${id}/label`, 'x'), 204)
  })

  test.each([
    ['PUT', '/label', 'x'],
    ['DELETE', '/label', undefined],
    ['PUT', '/description', 'x'],
    ['DELETE', '/description', undefined],
    ['PUT', '/tags/t', 'x'],
    ['DELETE', '/tags/kept', undefined],
    ['PUT', '/flow_collection', []],
    ['DELETE', '/flow_collection', undefined],
    ['PUT', '/max_bit_rate', 5],
    ['DELETE', '/max_bit_rate', undefined],
    ['PUT', '/avg_bit_rate', 5],
    ['DELETE', '/avg_bit_rate', undefined],
    ['POST', '/storage', { limit: 1 }],
    ['POST', '/segments', external('[5:0_6:0)')],
    ['POST', '/segments', [external('[5:0_6:0)')]],
    ['DELETE', '/segments', undefined],
    ['DELETE', '', undefined],
  ])(
    'a read-only flow answers 403 to %s %s and stays as it was [11.5] [5.6] [6.2] [6.3] [7] [11.5-S1] [5.5-M1] [5.6-M1] [5.8-M2] [5.9-M1] [6.2-M5] [6.3-M2] [7-M5] [13-12]',
    async (method, path, payload) => {
      const id = await newFlow({ tags: { kept: 'y' } })
      await register(app, id, '[0:0_1:0)')
      await app.put(`/flows/${id}/read_only`, true)
      const before = [await readFlow(app, id, '?include_timerange=true'), await body(`/flows/${id}/segments?accept_get_urls=`)]
      expectStatus(await app.request(method, `/flows/${id}${path}`, payload === undefined ? {} : { body: payload }), 403)
      expect([await readFlow(app, id, '?include_timerange=true'), await body(`/flows/${id}/segments?accept_get_urls=`)]).toEqual(before)
    },
  )

  test('a whole PUT is refused too, even one that sets read_only to false [11.5] [11.5-S1] [5.4-M2]', async () => {
    const flow = await createFlow(app, videoFlow({ read_only: true }))
    expectStatus(await app.put(`/flows/${flow.id}`, { ...flow, read_only: false }), 403)
    expect(await body(`/flows/${flow.id}/read_only`)).toBe(true)
  })

  test('403 comes before 400: a bad body for a read-only flow is 403 [1.4]', async () => {
    const id = await newFlow({ read_only: true })
    expectStatus(await app.put(`/flows/${id}/label`, 5), 403)
    expectStatus(await app.post(`/flows/${id}/segments`, { nonsense: true }), 403)
    expectStatus(await app.post(`/flows/${id}/storage`, { limit: -1 }), 403)
  })

  test('does not protect the source nor objects that another flow uses [11.5]', async () => {
    const flow = await createFlow(app)
    const { object_id } = await allocateOne(app, flow.id)
    expectStatus(await app.post(`/flows/${flow.id}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
    await app.put(`/flows/${flow.id}/read_only`, true)
    expectStatus(await app.put(`/sources/${flow.source_id}/label`, 'still editable'), 204)
    expect((await readSource(app, flow.source_id)).label).toBe('still editable')
    const other = await newFlow()
    expectStatus(await app.post(`/flows/${other}/segments`, { object_id, timerange: '[0:0_1:0)' }), 201)
  })
})

describe('a change through a sub-resource', () => {
  test.each([
    ['PUT', 'label', 'x'],
    ['DELETE', 'label', undefined],
    ['PUT', 'description', 'x'],
    ['PUT', 'tags/t', 'x'],
    ['DELETE', 'tags/kept', undefined],
    ['PUT', 'max_bit_rate', 7],
    ['PUT', 'avg_bit_rate', 7],
    ['PUT', 'read_only', true],
    ['PUT', 'flow_collection', []],
  ])('%s %s moves metadata_updated and metadata_version and tells of it [5.6] [10.2] [11.4] [11.4-S2]', async (method, path, payload) => {
    const member = await newFlow()
    const id = await newFlow({ label: 'before', tags: { kept: 'y' }, flow_collection: [{ id: member }] })
    const before = await readFlow(app, id)
    const told = (await app.events(id)).filter((type) => type === 'flows/updated').length
    app.clock.advance(5)
    expectStatus(await app.request(method, `/flows/${id}/${path}`, payload === undefined ? {} : { body: payload }), 204)
    const after = await readFlow(app, id)
    expect(after.metadata_updated).not.toEqual(before.metadata_updated)
    expect(after.metadata_version).not.toEqual(before.metadata_version)
    expect(after.created).toEqual(before.created)
    expect(typeof after.updated_by).toBe('string')
    expect((await app.events(id)).filter((type) => type === 'flows/updated')).toHaveLength(told + 1)
  })
})
