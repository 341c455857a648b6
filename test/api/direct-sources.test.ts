import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { seesEverything } from '../../src/domain/context.ts'
import { createDomain } from '../../src/domain/index.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { list, object } from '../support/answers.ts'
import { openApp, origin, type TestApp } from '../support/app.ts'
import { faultyTables } from '../support/faulty-tables.ts'
import { createFlow, expectInvalid, expectStatus, format, readSource, uuid, videoFlow } from '../support/fixtures.ts'

describe('sources written by clients', () => {
  let app: TestApp
  beforeEach(async () => {
    app = await openApp({ settings: { strict: false } })
  })
  afterEach(() => app.close())

  const body = (over = {}) => ({ id: uuid(), format: format.video, label: 'Stage', tags: { site: 'Leeds', langs: ['en', 'cy'] }, ...over })
  const deleteFlow = async (id: string) => expectStatus(await app.delete(`/flows/${id}?soft_delete=false`), 204)

  test('a posted source is there with its members, its place and its event', async () => {
    const source = body({ description: 'Camera 1' })
    const answer = expectStatus(await app.post('/sources', source), 201)
    expect(answer.headers.get('location')).toEndWith(`/sources/${source.id}`)
    expect(object(answer)).toMatchObject(source)
    expect(await readSource(app, source.id)).toMatchObject(source)
    expect(await app.events(source.id)).toEqual(['sources/created'])
    expect(list(await app.get('/sources?tag.langs=cy'))).toHaveLength(1)
  })

  test('without an id one is made up', async () => {
    const { id: _id, ...rest } = body()
    const { id } = object(expectStatus(await app.post('/sources', rest), 201))
    expect((await readSource(app, String(id))).label).toBe('Stage')
  })

  test('posted twice it is 409, and the first one stays', async () => {
    const source = body()
    await app.post('/sources', source)
    expectStatus(await app.post('/sources', { ...source, label: 'Other' }), 409)
    expect((await readSource(app, source.id)).label).toBe('Stage')
    expect(await app.events(source.id)).toEqual(['sources/created'])
  })

  test('of many posts of one id exactly one is 201', async () => {
    const source = body()
    const answers = await Promise.all(Array.from({ length: 16 }, (_, index) => app.post('/sources', { ...source, label: `${index}` })))
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, ...Array(15).fill(409)])
  })

  test('it outlives its last flow; one that a flow has made does not', async () => {
    const source = body()
    await app.post('/sources', source)
    const flow = await createFlow(app, videoFlow({ source_id: source.id }))
    const other = await createFlow(app, videoFlow())
    await deleteFlow(flow.id)
    await deleteFlow(other.id)
    expectStatus(await app.get(`/sources/${source.id}`), 200)
    expectStatus(await app.get(`/sources/${other.source_id}`), 404)
  })

  test('PUT makes a source, replaces its members, and does nothing where they are equal', async () => {
    const source = body()
    expectStatus(await app.put(`/sources/${source.id}`, source), 201)
    expectStatus(await app.put(`/sources/${source.id}`, { id: source.id, format: format.video, description: 'new' }), 204)
    const after = await readSource(app, source.id)
    expect(after).toMatchObject({ description: 'new', tags: {} })
    expect(after).not.toHaveProperty('label')
    expectStatus(await app.put(`/sources/${source.id}`, { id: source.id, format: format.video, description: 'new' }), 204)
    expect(await app.events(source.id)).toEqual(['sources/created', 'sources/updated'])
    expect(list(await app.get('/sources?tag_exists.site=true'))).toHaveLength(0)
  })

  test('the format is fixed once flows exist', async () => {
    const source = body()
    await app.put(`/sources/${source.id}`, source)
    expectStatus(await app.put(`/sources/${source.id}`, { ...source, format: format.audio }), 204)
    expectStatus(await app.put(`/sources/${source.id}`, source), 204)
    await createFlow(app, videoFlow({ source_id: source.id }))
    expectInvalid(await app.put(`/sources/${source.id}`, { ...source, format: format.audio }), 'format')
    expect((await readSource(app, source.id)).format).toBe(format.video)
  })

  test.each([
    ['id', { id: 'x' }],
    ['format', { format: 'video' }],
    ['format', { format: undefined }],
    ['label', { label: 3 }],
    ['tags', { tags: { a: 1 } }],
  ])('a wrong %s is 400 and makes nothing', async (field, over) => {
    const source = body(over)
    expectInvalid(await app.post('/sources', source), field)
    expect(list(await app.get('/sources'))).toEqual([])
  })

  test('PUT names the path: another id is 400, no UUID 404', async () => {
    expectInvalid(await app.put(`/sources/${uuid()}`, body()), 'id')
    expectStatus(await app.put('/sources/nothing', body()), 404)
  })

  test('all tags are replaced at once, with one event', async () => {
    const source = body()
    await app.post('/sources', source)
    expectStatus(await app.put(`/sources/${source.id}/tags`, { site: 'York', crew: [] }), 204)
    expect((await readSource(app, source.id)).tags).toEqual({ site: 'York', crew: [] })
    expectStatus(await app.put(`/sources/${source.id}/tags`, { site: 'York', crew: [] }), 204)
    expect(await app.events(source.id)).toEqual(['sources/created', 'sources/updated'])
    expect(list(await app.get('/sources?tag.site=Leeds'))).toEqual([])
    expectInvalid(await app.put(`/sources/${source.id}/tags`, { site: 3 }), 'site')
    expectStatus(await app.put(`/sources/${uuid()}/tags`, {}), 404)
  })

  test('a batch keeps what is good and says what is not', async () => {
    const known = body()
    await app.post('/sources', known)
    const [first, second] = [body(), body()]
    const answer = expectStatus(await app.post('/sources/batch', [first, known, { id: 'x', format: format.video }, second]), 200)
    expect(object(answer)).toMatchObject({
      created: [first.id, second.id],
      failed: [
        { index: 1, id: known.id, error: { type: 'exists' } },
        { index: 2, id: 'x', error: { type: 'invalid', summary: expect.stringContaining('id') } },
      ],
    })
    expect(list(await app.get('/sources'))).toHaveLength(3)
    const whole = expectStatus(await app.post('/sources/batch', [body(), body()]), 201)
    expect(object(whole).failed).toEqual([])
  })

  test('a batch in which one item met a fault of the program names it without detail, and the log tells the rest', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'json', destination: { write: (line) => void lines.push(line) } })
    const faulty = faultyTables(app.deps.tables)
    const { directSources } = createDomain({ ...app.deps, log, tables: faulty.tables })
    const context = { principal: { name: 'ann' }, visible: seesEverything, requestId: 'r-1', baseUrl: origin }
    const items = [body(), body()]
    faulty.arm(1)
    const { created, failed } = await directSources.createAll(context, items)
    expect([...created, ...failed.map(({ id }) => id)].sort()).toEqual(items.map(({ id }) => id).sort())
    expect(failed).toMatchObject([{ error: { type: 'internal', summary: expect.not.stringContaining('injected') } }])
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 'error',
        request_id: 'r-1',
        items: failed.map(({ index }) => index),
        err: expect.objectContaining({ message: 'an injected fault' }),
      }),
    ])
    lines.length = 0
    faulty.arm(1)
    await expect(directSources.createAll(context, [body()])).rejects.toThrow('an injected fault')
    expect(lines).toEqual([])
  })

  test('one that does not fit into an event is 400, however it grew', async () => {
    const half = 'x'.repeat(60_000)
    expectInvalid(await app.post('/sources', { format: format.video, label: half, description: half }), 'body')
    const { id } = object(expectStatus(await app.post('/sources', { format: format.video, label: half }), 201))
    expectInvalid(await app.put(`/sources/${id}/description`, half), 'body')
    expectInvalid(await app.put(`/sources/${id}/tags`, { note: half }), 'body')
    const member = object(await app.post('/sources', { format: format.video })).id
    expectInvalid(await app.put(`/source-collections/${id}/sources/${member}`, { role: half }), 'body')
    expectStatus(await app.put(`/source-collections/${id}/sources/${member}`, { role: 'r' }), 201)
  })

  test('a batch is a list of at most 1000', async () => {
    expectInvalid(await app.post('/sources/batch', body()), 'body')
    expectInvalid(
      await app.post(
        '/sources/batch',
        Array.from({ length: 1001 }, () => body()),
      ),
      'body',
    )
    expect(list(await app.get('/sources'))).toEqual([])
    expectStatus(
      await app.post(
        '/sources/batch',
        Array.from({ length: 1000 }, () => body()),
      ),
      201,
    )
  }, 120_000)
})

test('in strict mode there is no writing of sources', async () => {
  const app = await openApp({ settings: { strict: true } })
  try {
    const source = { id: uuid(), format: format.video }
    for (const [method, path] of [
      ['POST', '/sources'],
      ['PUT', `/sources/${source.id}`],
      ['POST', '/sources/batch'],
      ['PUT', `/sources/${source.id}/tags`],
    ] as const)
      expect([404, 405]).toContain((await app.fetch(path, { method, body: JSON.stringify(source) })).status)
    expect(list(await app.get('/sources'))).toEqual([])
  } finally {
    await app.close()
  }
})
