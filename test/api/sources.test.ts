import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { list, object } from '../support/answers.ts'
import { openApp, strictByDefault, type TestApp } from '../support/app.ts'
import {
  audioFlow,
  createFlow,
  expectInvalid,
  expectStatus,
  format,
  ids,
  multiFlow,
  readFlow,
  readSource,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(() => app.close())

const newSource = async (body = videoFlow()): Promise<string> => (await createFlow(app, body)).source_id

/** Sources with a tag of their own, so that tests that share the store do not see each other. */
const batch = async (count: number, flow = videoFlow): Promise<{ sources: string[]; run: string }> => {
  const run = uuid()
  const sources: string[] = []
  for (let index = 0; index < count; index++) {
    const id = await newSource(flow())
    expectStatus(await app.put(`/sources/${id}/tags/run`, run), 204)
    sources.push(id)
  }
  return { sources, run }
}

const found = async (query: string) => ids(list(expectStatus(await app.get(`/sources?${query}`), 200)))

describe('a source', () => {
  test('comes into being with the first flow that names it, with that flow’s format [4] [11.1] [4-M1] [11.1-M1]', async () => {
    const flow = audioFlow()
    expectStatus(await app.get(`/sources/${flow.source_id}`), 404)
    await createFlow(app, flow)
    expect(await readSource(app, flow.source_id)).toMatchObject({ id: flow.source_id, format: format.audio })
  })

  test('disappears with its last flow, not before [4] [11.1] [5.5] [11.1-M2]', async () => {
    const first = await createFlow(app)
    const second = await createFlow(app, videoFlow({ source_id: first.source_id }))
    expectStatus(await app.delete(`/flows/${first.id}`), 204)
    expectStatus(await app.get(`/sources/${first.source_id}`), 200)
    expectStatus(await app.delete(`/flows/${second.id}`), 204)
    expectStatus(await app.get(`/sources/${first.source_id}`), 404)
    expect(await app.events(first.source_id)).toEqual(expect.arrayContaining(['sources/created', 'sources/deleted']))
  })

  test('has no empty collections in it [11.2]', async () => {
    const body = await readSource(app, await newSource())
    expect(body).not.toHaveProperty('source_collection')
    expect(body).not.toHaveProperty('collected_by')
  })

  test('refuses a flow with another format [11.1] [5.4] [5.4-S1] [11.1-S1] [13-9]', async () => {
    const source_id = await newSource()
    const flow = audioFlow({ source_id })
    expectStatus(await app.put(`/flows/${flow.id}`, flow), 400)
    expectStatus(await app.get(`/flows/${flow.id}`), 404)
  })

  test('is not copied from a flow again when the flow changes [11.1]', async () => {
    const flow = await createFlow(app, videoFlow({ label: 'first' }))
    const before = (await readSource(app, flow.source_id)).label
    await app.put(`/flows/${flow.id}`, { ...flow, label: 'second' })
    expect((await readSource(app, flow.source_id)).label).toEqual(before)
  })

  test.if(strictByDefault).each([
    ['POST', '/sources'],
    ['PUT', '/sources/{id}'],
    ['POST', '/sources/{id}'],
    ['DELETE', '/sources/{id}'],
    ['PUT', '/sources/{id}/tags'],
  ])('cannot be made, replaced or deleted directly: %s %s is 405 [4] [4-M2]', async (method, path) => {
    const id = await newSource()
    const target = path.replace('{id}', id)
    expectStatus(await app.request(method, target, { body: { id, format: format.video } }), 405)
    expectStatus(await app.get(`/sources/${id}`), 200)
  })
})

describe('GET /sources', () => {
  test('has all five paging headers [4.1] [A] [4.1-M1]', async () => {
    const { run } = await batch(3)
    const answer = await app.get(`/sources?tag.run=${run}&limit=2`)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-paging-limit': '2',
      'x-paging-count': '2',
      'x-paging-reverse-order': 'false',
    })
    expect(answer.headers.get('x-paging-nextkey')).toBeTruthy()
  })

  test('newest first by default, oldest first when reversed [1.6] [4.1]', async () => {
    const { sources, run } = await batch(3)
    expect(await found(`tag.run=${run}`)).toEqual([...sources].reverse())
    expect(await found(`tag.run=${run}&sort_by=created`)).toEqual([...sources].reverse())
    expect(await found(`tag.run=${run}&reverse_order=true`)).toEqual(sources)
  })

  test('sort_by=updated puts the latest change first [1.6] [4.1]', async () => {
    const { sources, run } = await batch(3)
    const [first = '', second = '', third = ''] = sources
    await app.put(`/sources/${second}/label`, 'touched')
    expect(await found(`tag.run=${run}&sort_by=updated`)).toEqual([second, third, first])
    expect(await found(`tag.run=${run}&sort_by=updated&reverse_order=true`)).toEqual([first, third, second])
  })

  test('sort_by=label is ascending by code point, unlabelled ones by id behind, and the reverse of that [1.6] [4.1]', async () => {
    const { sources, run } = await batch(6)
    const labels = ['b', 'B', '\u{1F600}', '\uFF5E']
    for (const [index, label] of labels.entries()) await app.put(`/sources/${sources[index]}/label`, label)
    const unlabelled = sources.slice(4).sort()
    const expected = [sources[1], sources[0], sources[3], sources[2], ...unlabelled]
    expect(await found(`tag.run=${run}&sort_by=label`)).toEqual(expected)
    expect(await found(`tag.run=${run}&sort_by=label&reverse_order=true`)).toEqual([...expected].reverse())
  })

  test('filters by exact label and format, all filters together [4.1] [1.7]', async () => {
    const { sources, run } = await batch(2)
    const [first = '', second = ''] = sources
    await app.put(`/sources/${first}/label`, 'Camera 1')
    await app.put(`/sources/${second}/label`, 'Camera 10')
    expect(await found(`tag.run=${run}&label=Camera%201`)).toEqual([first])
    expect(await found(`tag.run=${run}&label=camera%201`)).toEqual([])
    expect(await found(`tag.run=${run}&label=Camera+10`)).toEqual([second])
    expect(await found(`tag.run=${run}&format=${format.video}`)).toHaveLength(2)
    expect(await found(`tag.run=${run}&format=${format.audio}`)).toEqual([])
    expect(await found(`tag.run=${run}&label=Camera%201&format=${format.audio}`)).toEqual([])
  })

  test('filters by text and list tags, by existence and by dotted names [1.7] [4.1] [1.7-M1] [1.7-M2] [1.7-M3] [1.7-M4] [1.7-M5]', async () => {
    const { sources, run } = await batch(3)
    const [text = '', several = '', bare = ''] = sources
    await app.put(`/sources/${text}/tags/genre`, 'news')
    await app.put(`/sources/${several}/tags/genre`, ['sport', 'live'])
    await app.put(`/sources/${bare}/tags/genre.sub`, '')
    expect(await found(`tag.run=${run}&tag.genre=news`)).toEqual([text])
    expect(await found(`tag.run=${run}&tag.genre=live`)).toEqual([several])
    expect(await found(`tag.run=${run}&tag.genre=news,live`)).toEqual([several, text])
    expect(await found(`tag.run=${run}&tag.genre=news%2Clive`)).toEqual([several, text])
    expect(await found(`tag.run=${run}&tag.genre=new`)).toEqual([])
    expect(await found(`tag.run=${run}&tag_exists.genre=true`)).toEqual([several, text])
    expect(await found(`tag.run=${run}&tag_exists.genre=false`)).toEqual([bare])
    expect(await found(`tag.run=${run}&tag.genre.sub=`)).toEqual([bare])
    expect(await found(`tag.run=${run}&tag_exists.genre.sub=TRUE`)).toEqual([bare])
  })

  test('a tag with an empty list exists, and matches no value [1.7] [1.7-M3]', async () => {
    const { sources, run } = await batch(1)
    expectStatus(await app.put(`/sources/${sources[0]}/tags/none`, []), 204)
    expect(await found(`tag.run=${run}&tag_exists.none=true`)).toEqual(sources)
    expect(await found(`tag.run=${run}&tag.none=`)).toEqual([])
  })

  test('collected_by_ids keeps what one of these sources collects; empty, what nobody collects [4.1] [11.2] [4.1-M2] [13-19]', async () => {
    const { sources, run } = await batch(1)
    const member = await createFlow(app, videoFlow({ source_id: sources[0] }))
    const collector = await createFlow(app, multiFlow({ flow_collection: [{ id: member.id, role: 'video' }] }))
    await app.put(`/sources/${collector.source_id}/tags/run`, run)
    expect(await found(`tag.run=${run}&collected_by_ids=${collector.source_id}`)).toEqual(sources)
    expect(await found(`tag.run=${run}&collected_by_ids=${uuid()},${collector.source_id}`)).toEqual(sources)
    expect(await found(`tag.run=${run}&collected_by_ids=${uuid()}`)).toEqual([])
    expect(await found(`tag.run=${run}&collected_by_ids=`)).toEqual([collector.source_id])
  })

  test.each([
    ['sort_by=name', 'sort_by'],
    ['sort_by=metadata_updated', 'sort_by'],
    ['collected_by_ids=nonsense', 'collected_by_ids'],
    [`collected_by_ids=${'A'.repeat(8)}-0000-4000-8000-000000000000`, 'collected_by_ids'],
    ['format=video', 'format'],
    ['limit=0', 'limit'],
    ['limit=1.5', 'limit'],
    ['reverse_order=2', 'reverse_order'],
    ['page=%00', 'page'],
    ['tag_exists.x=maybe', 'tag_exists'],
  ])('refuses %s and says which parameter is wrong [4.1] [1.4] [4.1-M1] [4.1-M2] [1.6-M3]', async (query, field) => {
    expectInvalid(await app.get(`/sources?${query}`), field)
  })

  test('ignores parameters it does not know [1.4]', async () => {
    expectStatus(await app.get('/sources?colour=red&limit=1'), 200)
  })
})

describe('GET /sources/{id}', () => {
  test.each([[uuid()], ['nonsense'], [uuid().toUpperCase()], ['00000000-0000-0000-0000-000000000000']])(
    '%s is 404 [4.2] [1.2] [4.2-M1]',
    async (id) => {
      expectStatus(await app.get(`/sources/${id}`), 404)
    },
  )
})

describe('tags of a source', () => {
  test('are {} at first, keep texts as texts and lists as lists [4.3] [4.3-M1] [4.3-M2] [4.3-M3] [13-28]', async () => {
    const id = await newSource()
    expect((await app.get(`/sources/${id}/tags`)).body).toEqual({})
    expectStatus(await app.put(`/sources/${id}/tags/one`, 'text'), 204)
    expectStatus(await app.put(`/sources/${id}/tags/two`, ['single']), 204)
    expectStatus(await app.put(`/sources/${id}/tags/three`, []), 204)
    expect((await app.get(`/sources/${id}/tags`)).body).toEqual({ one: 'text', two: ['single'], three: [] })
    expect((await app.get(`/sources/${id}/tags/two`)).body).toEqual(['single'])
    expect((await readSource(app, id)).tags).toEqual({ one: 'text', two: ['single'], three: [] })
  })

  test('PUT replaces a tag and DELETE removes it; then it is 404 [4.3] [4.3-M2] [4.3-M3] [4.3-M4]', async () => {
    const id = await newSource()
    await app.put(`/sources/${id}/tags/colour`, 'red')
    expectStatus(await app.put(`/sources/${id}/tags/colour`, 'blue'), 204)
    expect((await app.get(`/sources/${id}/tags/colour`)).body).toBe('blue')
    expectStatus(await app.delete(`/sources/${id}/tags/colour`), 204)
    expectStatus(await app.get(`/sources/${id}/tags/colour`), 404)
    expectStatus(await app.delete(`/sources/${id}/tags/colour`), 404)
  })

  test.each([[5], [true], [null], [{ a: 'b' }], [['a', 5]], [[['nested']]]])(
    'the value %p is refused [4.3] [1.4] [4.3-M3]',
    async (value) => {
      const id = await newSource()
      expectStatus(await app.put(`/sources/${id}/tags/x`, value), 400)
      expectStatus(await app.get(`/sources/${id}/tags/x`), 404)
    },
  )

  test('of an unknown source are 404, whatever the body [4.3] [1.4] [4.3-M1] [4.3-M2] [4.3-M3] [4.3-M4]', async () => {
    const id = uuid()
    expectStatus(await app.get(`/sources/${id}/tags`), 404)
    expectStatus(await app.get(`/sources/${id}/tags/x`), 404)
    expectStatus(await app.put(`/sources/${id}/tags/x`, 'y'), 404)
    expectStatus(await app.put(`/sources/${id}/tags/x`, 5), 404)
    expectStatus(await app.delete(`/sources/${id}/tags/x`), 404)
  })

  test.each([['a/b'], ['100%'], ['a b'], ['Straße ☂ \u{1F3AC}'], ['?#&='], ['a.b'], ['%2F'], ['__proto__'], ['tags']])(
    'the name %p makes the round trip [1.2] [4.3] [1.2-M3]',
    async (name) => {
      const id = await newSource()
      const path = `/sources/${id}/tags/${encodeURIComponent(name)}`
      expectStatus(await app.put(path, 'value'), 204)
      expect((await app.get(path)).body).toBe('value')
      const tags = object(await app.get(`/sources/${id}/tags`))
      expect(Object.entries(tags)).toEqual([[name, 'value']])
      expectStatus(await app.delete(path), 204)
      expect((await app.get(`/sources/${id}/tags`)).body).toEqual({})
    },
  )

  test('a tag filter finds a name with special characters, percent-encoded [1.7] [1.2] [1.7-M5] [1.2-M3]', async () => {
    const { sources, run } = await batch(1)
    await app.put(`/sources/${sources[0]}/tags/${encodeURIComponent('a/b &=☂')}`, 'x,y')
    expect(await found(`tag.run=${run}&tag.${encodeURIComponent('a/b &=☂')}=x%2Cy`)).toEqual(sources)
    expect(await found(`tag.run=${run}&tag_exists.${encodeURIComponent('a/b &=☂')}=true`)).toEqual(sources)
  })
})

describe.each([['label'], ['description']])('%s of a source', (property) => {
  test('is null with 200 while unset, then what was put, then null again [4.4] [14.3] [4.4-M1] [4.4-M2] [4.4-M3] [1.1-M4] [13-15]', async () => {
    const id = await newSource()
    expect((await app.get(`/sources/${id}/${property}`)).body).toBeNull()
    expectStatus(await app.put(`/sources/${id}/${property}`, 'Café ☕'), 204)
    expect((await app.get(`/sources/${id}/${property}`)).body).toBe('Café ☕')
    expect((await readSource(app, id))[property]).toBe('Café ☕')
    expectStatus(await app.delete(`/sources/${id}/${property}`), 204)
    expectStatus(await app.delete(`/sources/${id}/${property}`), 204)
    expect((await app.get(`/sources/${id}/${property}`)).body).toBeNull()
    expect(await readSource(app, id)).not.toHaveProperty(property)
  })

  test('an empty text is a value of its own [4.4]', async () => {
    const id = await newSource()
    expectStatus(await app.put(`/sources/${id}/${property}`, ''), 204)
    expect((await app.get(`/sources/${id}/${property}`)).body).toBe('')
  })

  test.each([[5], [null], [['a']], [{}]])('%p is refused [4.4] [4.4-M2]', async (value) => {
    expectStatus(await app.put(`/sources/${await newSource()}/${property}`, value), 400)
  })

  test('of an unknown source is 404 [4.4] [4.4-M1] [4.4-M2] [4.4-M3]', async () => {
    const id = uuid()
    expectStatus(await app.get(`/sources/${id}/${property}`), 404)
    expectStatus(await app.put(`/sources/${id}/${property}`, 'x'), 404)
    expectStatus(await app.delete(`/sources/${id}/${property}`), 404)
  })
})

describe('a change of a source', () => {
  test.each([
    ['PUT', 'label', 'x'],
    ['DELETE', 'label', undefined],
    ['PUT', 'description', 'x'],
    ['PUT', 'tags/t', 'x'],
  ])(
    '%s %s moves `updated`, tells of it once and leaves its flows alone [4.3] [4.4] [10.2] [4.4-M4] [4.4-S1]',
    async (method, property, body) => {
      const flow = await createFlow(app)
      await app.put(`/sources/${flow.source_id}/label`, 'before')
      const [source, flowBefore] = [await readSource(app, flow.source_id), await readFlow(app, flow.id)]
      const told = (await app.events(flow.source_id)).filter((type) => type === 'sources/updated').length
      app.clock.advance(5)
      expectStatus(await app.request(method, `/sources/${flow.source_id}/${property}`, body === undefined ? {} : { body }), 204)
      const after = await readSource(app, flow.source_id)
      expect(after.updated).not.toEqual(source.updated)
      expect(after.created).toEqual(source.created)
      expect(typeof after.updated_by).toBe('string')
      expect(await readFlow(app, flow.id)).toEqual(flowBefore)
      expect((await app.events(flow.source_id)).filter((type) => type === 'sources/updated')).toHaveLength(told + 1)
    },
  )

  test('a refused change is not told [10.1]', async () => {
    const id = await newSource()
    const told = await app.events(id)
    await app.put(`/sources/${id}/label`, 5)
    await app.delete(`/sources/${id}/tags/none`)
    expect(await app.events(id)).toEqual(told)
  })
})
