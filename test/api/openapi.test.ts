import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020'
import addFormats from 'ajv-formats'
import { reports } from '../../analytics/reports/index.ts'
import { createApp } from '../../api/app.ts'
import { openApiDocument } from '../../api/openapi/document.ts'
import { operation } from '../../api/openapi/operation.ts'
import { type Answer, type Json, object } from '../support/answers.ts'
import { openApp, type TestApp } from '../support/app.ts'
import { expectStatus, uuid } from '../support/fixtures.ts'
import { specificationFolder } from '../support/schemas.ts'

const json = (value: unknown): Json => ({ ...Object(value) })
const entries = (value: unknown): [string, Json][] => Object.entries(json(value)).map(([name, member]) => [name, json(member)])
const items = (value: unknown): Json[] => (Array.isArray(value) ? value.map(json) : [])

// As it goes over the wire.
const document = json(JSON.parse(JSON.stringify(openApiDocument({ version: '0.0.0-test', basePath: '', strict: false }))))

const resolve = (pointer: string): unknown =>
  pointer
    .slice(2)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, part) => json(value)[part], document)

/** The part itself, or what it refers to. */
const deref = (part: Json): Json => (typeof part.$ref === 'string' ? json(resolve(part.$ref)) : part)

interface Documented {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly operation: Json
}

const METHODS = ['get', 'put', 'post', 'patch', 'delete']
const operations: readonly Documented[] = entries(document.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method] !== undefined).map((method) => {
    const operation = json(item[method])
    return { id: String(operation.operationId), method, path, operation }
  }),
)
const operationOf = (id: string): Json => {
  const found = operations.find((each) => each.id === id)
  if (!found) throw new Error(`${id} is not documented`)
  return found.operation
}

/** Names of path parameters mean nothing. */
const shape = (path: string): string => path.replace(/:[^/]+|\{[^}]+\}/g, '{}')

const parametersOf = (operation: Json): Json[] => items(operation.parameters).map(deref)
const responsesOf = (operation: Json): [string, Json][] => entries(operation.responses).map(([status, answer]) => [status, deref(answer)])

interface Example {
  readonly where: string
  readonly schema: Json
  readonly value: unknown
}

const examplesIn = (where: string, part: Json): Example[] => [
  ...('example' in part ? [{ where, schema: json(part.schema), value: part.example }] : []),
  ...entries(part.examples).map(([name, { value }]) => ({ where: `${where} ${name}`, schema: json(part.schema), value })),
]
const examplesInContent = (where: string, part: Json): Example[] =>
  entries(part.content).flatMap(([type, media]) => examplesIn(`${where} ${type}`, media))

const examplesOf = ({ id, operation }: Documented): Example[] => [
  ...parametersOf(operation).flatMap((parameter) => examplesIn(`${id} ${parameter.name}`, parameter)),
  ...examplesInContent(`${id} body`, json(operation.requestBody)),
  ...responsesOf(operation).flatMap(([status, answer]) => [
    ...examplesInContent(`${id} ${status}`, answer),
    ...entries(answer.headers).flatMap(([name, header]) => examplesIn(`${id} ${status} ${name}`, deref(header))),
  ]),
]

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats(ajv)
ajv.addSchema({ components: document.components }, 'document')
const compiled = new Map<string, ValidateFunction>()

/** What is wrong with `value`, one line each. References lead into the document. */
const violations = (schema: Json, value: unknown): string[] => {
  const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/')
  const check = compiled.get(text) ?? ajv.compile(JSON.parse(text))
  compiled.set(text, check)
  return check(value) ? [] : (check.errors ?? []).map(({ instancePath, message }) => `${instancePath || '(root)'} ${message}`)
}

const requestExample = (id: string, name?: string): unknown => {
  const media = json(json(json(operationOf(id).requestBody).content)['application/json'])
  const value = name === undefined ? media.example : json(json(media.examples)[name]).value
  if (value === undefined) throw new Error(`${id} has no example ${name ?? ''}`)
  return value
}

describe('the OpenAPI document', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openApp({ http: { basePath: '/x-tams/v8.2' }, settings: { strict: false } })
  })
  afterAll(() => app.close())

  test('has every route of the service, and no others but those of media', () => {
    const { routes } = createApp({ ...app.deps, http: { ...app.deps.http, basePath: '' } })
    const visible = routes.filter(({ hooks }) => hooks.detail?.hide !== true)
    const described = (id: unknown, method: string, path: string) => `${id} ${method.toUpperCase()} ${shape(path)}`
    const implemented = visible.map(({ hooks, method, path }) => described(hooks.detail?.operationId, method, path))
    const documented = operations.map(({ id, method, path }) => described(id, method, path))
    expect(implemented.length).toBeGreaterThan(50)
    expect(documented.toSorted()).toEqual([...implemented, 'GET_media GET /media/{}/{}', 'PUT_media PUT /media/{}/{}'].toSorted())
    const hidden = routes.filter((route) => !visible.includes(route)).map((route) => route.path)
    expect([...new Set(hidden)].sort()).toEqual(['/docs', '/docs/:file', '/events/ws', '/media/*'])
  })

  test.each(operations.map((each) => [each.id, each] as const))('%s has a summary, a tag, examples and its errors', (_id, each) => {
    const { operation } = each
    expect(operation.summary).toMatch(/^[A-Z].{8,60}[^.]$/)
    expect(operation.description).toMatch(/\.$/)
    expect(operation.tags).toHaveLength(1)
    expect(items(document.tags).map(({ name }) => name)).toContain(Array.isArray(operation.tags) ? operation.tags[0] : undefined)
    const statuses = responsesOf(operation).map(([status]) => Number(status))
    expect(statuses.some((status) => status < 300)).toBe(true)
    expect(statuses.some((status) => status >= 400)).toBe(true)
    // An error's example alone shows nothing of the operation.
    const shows = examplesOf(each).filter(({ where }) => !/ [45]\d\d /.test(where)).length
    // What takes nothing and answers nothing has nothing to show.
    const isMute = parametersOf(operation).length === 0 && !operation.requestBody && json(operation.responses)['204'] !== undefined
    expect(shows > 0 || isMute).toBe(true)
    for (const [status, answer] of responsesOf(operation)) {
      expect(answer.description).toBeString()
      if (answer.content && each.id !== 'GET_media') expect(examplesInContent(status, answer)).not.toEqual([])
      if (Number(status) >= 400 && !each.id.startsWith('GET_health'))
        expect(json(json(json(answer.content)['application/json']).schema).$ref).toBe('#/components/schemas/Error')
    }
    for (const parameter of parametersOf(operation)) {
      expect(parameter.description).toBeString()
      expect(parameter.example).toBeDefined()
      expect(parameter.schema).toBeObject()
    }
    const inPath = parametersOf(operation).filter((parameter) => parameter.in === 'path')
    expect(inPath.map(({ name, required }) => (required === true ? `{${name}}` : ''))).toEqual(each.path.match(/\{[^}]+\}/g) ?? [])
    if (operation.requestBody) expect(examplesInContent('', json(operation.requestBody)).length > 0 || each.id === 'PUT_media').toBe(true)
  })

  test('asks for the scopes of section 12, by each of the three alternatives, or for nothing [12]', () => {
    const asked = (id: string) => operationOf(id).security
    const anyOf = (...scopes: readonly string[]) => [{ basic_auth: scopes }, { bearer_token_auth: scopes }, { url_token_auth: scopes }]
    expect(asked('GET_flows')).toEqual(anyOf('tams-api/read'))
    expect(asked('DELETE_flows-flowId')).toEqual(anyOf('tams-api/delete'))
    expect(asked('POST_service')).toEqual(anyOf('tams-api/admin'))
    expect(asked('GET_root')).toEqual(anyOf())
    const open = operations.filter(({ operation }) => items(operation.security).length === 0).map(({ id }) => id)
    expect(open.sort()).toEqual(['GET_health-live', 'GET_health-ready', 'GET_media', 'GET_openapi', 'PUT_media'])
    expect(operations.every(({ operation }) => Array.isArray(operation.security))).toBe(true)
  })

  test('has no operation id twice', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length)
    expect(() => operation('GET_nothing')).toThrow('GET_nothing is not documented')
  })

  test('refers only to what it holds, and holds no component in vain', () => {
    const found = new Set<string>()
    JSON.stringify(document, (name, value) => {
      if (name === '$ref') found.add(value)
      return value
    })
    expect(found.size).toBeGreaterThan(50)
    expect([...found].filter((pointer) => resolve(pointer) === undefined)).toEqual([])
    const held = entries(document.components).flatMap(([kind, parts]) => Object.keys(parts).map((name) => `#/components/${kind}/${name}`))
    // Security schemes are referred to by name.
    const schemes = ['basic_auth', 'bearer_token_auth', 'url_token_auth'].map((name) => `#/components/securitySchemes/${name}`)
    expect(held.filter((pointer) => !found.has(pointer)).sort()).toEqual(schemes)
  })

  test('has examples that are valid against their schemas', () => {
    const examples = operations.flatMap(examplesOf)
    expect(examples.length).toBeGreaterThan(200)
    const wrong = examples.flatMap(({ where, schema, value }) => violations(schema, value).map((violation) => `${where}: ${violation}`))
    expect(wrong).toEqual([])
  })

  test('has request examples that this service accepts, and schemas that fit its answers', async () => {
    const show = async (id: string, target: string): Promise<Answer> => expectDocumented(id, await app.get(target))
    const send = async (id: string, target: string, name?: string, over: Json = {}): Promise<Answer> => {
      const value = requestExample(id, name)
      const body = Array.isArray(value) || typeof value !== 'object' ? value : { ...value, ...over }
      const method = id.slice(0, id.indexOf('_'))
      return expectDocumented(id, await app.request(method, target, { body }))
    }
    const idOf = (id: string, name?: string) => String(json(requestExample(id, name)).id)
    const [video, audio, multi] = ['video', 'audio', 'multi'].map((name) => idOf('PUT_flows-flowId', name))
    const profile = idOf('POST_profiles-profileId')
    const segment = json(requestExample('POST_flows-flowId-segments', 'one'))
    const source = String(json(requestExample('PUT_flows-flowId', 'video')).source_id)

    await send('POST_service', '/service')
    await send('POST_profiles-profileId', `/service/profiles/${profile}`)
    const webhook = String(object(await send('POST_webhooks', '/service/webhooks')).id)
    await send('PUT_webhooks', `/service/webhooks/${webhook}`, undefined, { id: webhook })
    await send('PUT_flows-flowId', `/flows/${video}`, 'video')
    await send('PUT_flows-flowId', `/flows/${audio}`, 'audio')
    await send('PUT_flows-flowId', `/flows/${multi}`, 'multi')
    await send('POST_flows-flowId-storage', `/flows/${video}/storage`, 'number')
    expectStatus(await app.post(`/flows/${video}/storage`, { object_ids: [segment.object_id] }), 201)
    await send('POST_flows-flowId-segments', `/flows/${video}/segments`, 'many')
    await send('POST_flows-flowId-segments', `/flows/${video}/segments`, 'one')
    await send('POST_objects-instances', `/objects/${segment.object_id}/instances`, 'uncontrolled')
    const failed = [{ ...segment, timerange: '[5:0_15:0)' }]
    expectDocumented('POST_flows-flowId-segments', expectStatus(await app.post(`/flows/${video}/segments`, failed), 200))

    await show('GET_root', '/')
    await show('GET_service', '/service')
    await show('GET_storage-backends', '/service/storage-backends')
    await show('GET_profiles', '/service/profiles')
    await show('GET_profiles-profileId', `/service/profiles/${profile}`)
    await show('GET_webhooks', '/service/webhooks')
    await show('GET_webhooks-webhookId', `/service/webhooks/${webhook}`)
    await show('GET_webhooks-webhookId-deliveries', `/service/webhooks/${webhook}/deliveries`)
    await show('GET_webhooks-webhookId-signing-secret', `/service/webhooks/${webhook}/signing-secret`)
    await show('GET_events', '/events')
    await send('POST_admin-users', '/admin/users')
    await send('PATCH_admin-users-name', '/admin/users/ann')
    const token = String(object(await send('POST_admin-tokens', '/admin/tokens')).id)
    await show('GET_admin-users', '/admin/users')
    await show('GET_admin-tokens', '/admin/tokens')
    expectDocumented('DELETE_admin-tokens-id', await app.delete(`/admin/tokens/${token}`))
    expectDocumented('DELETE_admin-users-name', await app.delete('/admin/users/ann'))
    await show('GET_analytics', '/analytics')
    // Each answer changes what the next says of caches and times: HEAD would differ.
    const ask = async (id: string, target: string) => expectDocumented(id, await app.request('GET', target, { head: false }))
    for (const { name } of reports) await ask(`GET_analytics-${name}`, `/analytics/${name}`)
    await send('POST_analytics-query', '/analytics/query')
    await ask('GET_analytics-performance', '/analytics/performance?slow_ms=0')
    await ask('GET_analytics-cache', '/analytics/cache')
    await show('GET_analytics-gaps', '/analytics/gaps?treshold=1')
    await show('GET_sources', '/sources')
    await show('GET_sources-sourceId', `/sources/${source}`)
    await show('GET_sources-sourceId-tags', `/sources/${source}/tags`)
    await show('GET_flows', '/flows')
    await show('GET_flows-flowId', `/flows/${video}?include_timerange=true`)
    await show('GET_flows-flowId-flow-collection', `/flows/${multi}/flow_collection`)
    await show('GET_flows-flowId-label', `/flows/${video}/label`)
    await show('GET_flows-flowId-description', `/flows/${multi}/description`)
    await show('GET_flows-flowId-max-bit-rate', `/flows/${multi}/max_bit_rate`)
    await show('GET_flows-flowId-segments', `/flows/${video}/segments?verbose_storage=true&include_object_timerange=true&limit=1`)
    await show('GET_objects', `/objects/${segment.object_id}?verbose_storage=true`)
    await show('GET_health', '/health')
    await show('GET_health-live', '/health/live')
    await show('GET_openapi', '/openapi.json')
    await show('GET_flows', '/flows?limit=0')

    await send('PUT_flows-flowId-label', `/flows/${video}/label`)
    await send('PUT_flows-flowId-tags-name', `/flows/${video}/tags/venue`)
    await send('PUT_flows-flowId-max-bit-rate', `/flows/${video}/max_bit_rate`)
    await send('PUT_flows-flowId-flow-collection', `/flows/${multi}/flow_collection`)
    await send('PUT_flows-flowId-read-only', `/flows/${video}/read_only`)
    expectDocumented('DELETE_flows-flowId', expectStatus(await app.delete(`/flows/${video}`), 403))
  })

  test('has request examples of the extensions that this service accepts, and schemas that fit its answers', async () => {
    const send = async (id: string, target: string, status: number, body: unknown = requestExample(id)): Promise<Answer> =>
      expectDocumented(id, expectStatus(await app.request(id.slice(0, id.indexOf('_')), target, { body }), status))
    const show = async (id: string, target: string): Promise<Answer> => expectDocumented(id, expectStatus(await app.get(target), 200))
    const source = uuid()
    await send('POST_sources', '/sources', 201, { ...json(requestExample('POST_sources')), id: source })
    await send('POST_sources', '/sources', 409, { ...json(requestExample('POST_sources')), id: source })
    await send('PUT_sources-sourceId', `/sources/${source}`, 204, { ...json(requestExample('PUT_sources-sourceId')), id: source })
    await send('PUT_sources-sourceId-tags', `/sources/${source}/tags`, 204)
    const ofOneId = (id: string) => [{ ...json((requestExample(id) as unknown[])[0]), id: uuid() }, {}]
    await send('POST_sources-batch', '/sources/batch', 200, ofOneId('POST_sources-batch'))
    const flow = uuid()
    await send('POST_flows', '/flows', 201, { ...json(requestExample('POST_flows')), id: flow, source_id: source })
    await send('PUT_flows-flowId-tags', `/flows/${flow}/tags`, 204)
    const batch = ofOneId('POST_flows-batch').slice(0, 1)
    await send('POST_flows-batch', '/flows/batch', 201, [{ ...batch[0], source_id: uuid() }])
    const object_id = String(json(requestExample('POST_objects')).id)
    await send('POST_objects', '/objects', 201)
    await send('POST_objects-batch', '/objects/batch', 200)
    await show('GET_objects-details', `/objects/${object_id}/details`)
    for (const [kind, member] of [
      ['collections', 'flow'],
      ['source-collections', 'source'],
    ] as const) {
      const members = [{ id: member === 'flow' ? flow : source, role: 'video' }]
      const { id } = object(await send(`POST_${kind}`, `/${kind}`, 201, { ...json(requestExample(`POST_${kind}`)), members }))
      await send(`POST_${kind}`, `/${kind}`, 200, { id, members })
      await show(`GET_${kind}`, `/${kind}`)
      await show(`GET_${kind}-collectionId`, `/${kind}/${id}`)
      await show(`GET_${kind}-collectionId-${member}s`, `/${kind}/${id}/${member}s`)
      await send(`PUT_${kind}-collectionId-${member}s-${member}Id`, `/${kind}/${id}/${member}s/${members[0]?.id}`, 204)
      const gone = await app.delete(`/${kind}/${id}/${member}s/${members[0]?.id}`)
      expectDocumented(`DELETE_${kind}-collectionId-${member}s-${member}Id`, expectStatus(gone, 204))
      expectDocumented(`DELETE_${kind}-collectionId`, expectStatus(await app.delete(`/${kind}/${id}`), 404))
    }
    await send('POST_flow-delete-requests', '/flow-delete-requests', 201, {
      ...json(requestExample('POST_flow-delete-requests')),
      flow_id: flow,
    })
    await show('GET_audit', '/audit?limit=3')
    await show('GET_audit-summary', '/audit/summary')
  })

  /** Status, headers of paging and body are those of the document. */
  const expectDocumented = (id: string, answer: Answer): Answer => {
    const response = responsesOf(operationOf(id)).find(([status]) => Number(status) === answer.status)?.[1]
    if (!response) throw new Error(`${id}: status ${answer.status} is not documented: ${answer.text}`)
    if (!response.content) expect(answer.text).toBe('')
    else expect(violations(json(json(json(response.content)['application/json']).schema), answer.body)).toEqual([])
    const headers = new Set(Object.keys(json(response.headers)).map((name) => name.toLowerCase()))
    const sent = [...answer.headers.keys()].filter((name) => /^(link|location|x-paging-.*|x-analytics-.*|retry-after)$/.test(name))
    expect(sent.filter((name) => !headers.has(name))).toEqual([])
    return answer
  }

  test('is served with the path that its operations are below', async () => {
    const serverOf = async (target: string, headers?: Record<string, string>) => {
      const { servers, ...rest } = object(expectStatus(await app.get(target, headers), 200))
      const { servers: _servers, ...expected } = document
      expect(rest).toEqual(expected)
      return items(servers).map(({ url }) => url)
    }
    expect(await serverOf('/openapi.json')).toEqual(['/'])
    expect(await serverOf('/x-tams/v8.2/openapi.json')).toEqual(['/x-tams/v8.2'])
  })

  test('names the prefix that a proxy takes away', async () => {
    const behind = await openApp({ http: { trustProxy: true } })
    try {
      const answer = await behind.get('/openapi.json', { 'x-forwarded-prefix': '/store', 'x-forwarded-host': 'tams.example.com' })
      expect(object(answer).servers).toEqual([{ url: '/store' }])
    } finally {
      await behind.close()
    }
  })

  test('comes from the command line without a store', async () => {
    const dataDir = path.join(import.meta.dir, 'never-made')
    const run = Bun.spawn([process.execPath, 'src/cli/tams.ts', 'openapi'], {
      cwd: path.join(import.meta.dir, '../..'),
      env: { PATH: process.env.PATH ?? '', TAMS_DATA_DIR: dataDir, BASE_PATH: '/x-tams/v8.2' },
      stderr: 'inherit',
    })
    const printed = json(await new Response(run.stdout).json())
    expect(await run.exited).toBe(0)
    expect(printed.servers).toEqual([{ url: '/x-tams/v8.2' }])
    expect(printed.paths).toEqual(document.paths)
    expect(existsSync(dataDir)).toBe(false)
  })
})

describe('the documentation page', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openApp({ http: { basePath: '/x-tams/v8.2' } })
  })
  afterAll(() => app.close())

  test.each(['/docs', '/x-tams/v8.2/docs'])('at %s leads to the path with a slash, whatever the prefix', async (target) => {
    const answer = await app.get(target)
    expect(answer.status).toBe(308)
    expect(answer.headers.get('location')).toBe('docs/')
  })

  test.each(['/docs/', '/x-tams/v8.2/docs/'])('at %s and all that it loads come from this service', async (target) => {
    const { status, headers, text } = await app.get(target)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(headers.get('content-security-policy')).toStartWith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    expect(headers.get('content-security-policy')).not.toContain('unsafe')
    const links = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(links).toHaveLength(6)
    for (const link of links) {
      expect(link).not.toMatch(/^(\/|[a-z]+:)/)
      const answer = await app.fetch(new URL(link, `http://localhost${target}`).href)
      expect(answer.status).toBe(200)
      expect((await answer.bytes()).length).toBeGreaterThan(50)
    }
  })

  test.each([
    ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['swagger-ui.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['favicon-32x32.png', 'image/png', 'public, max-age=31536000, immutable'],
    ['page.js', 'text/javascript; charset=utf-8', 'no-cache'],
  ])('is given %s as %s, to be kept: %s', async (name, type, cache) => {
    const { headers } = await app.get(`/docs/${name}`)
    expect(headers.get('content-type')).toBe(type)
    expect(headers.get('cache-control')).toBe(cache)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  test.each(['package.json', 'index.html', '..%2f..%2fpackage.json', '%2e%2e%2fdocs-page.ts'])('has no file %s', async (name) => {
    expectStatus(await app.get(`/docs/${name}`), 404)
  })
})

const specification = path.join(specificationFolder, 'TimeAddressableMediaStore.yaml')
if (!existsSync(specification)) console.warn(`skipped: comparison with the specification's operations, because ${specification} is absent`)

describe.skipIf(!existsSync(specification))('against the specification, the OpenAPI document', () => {
  const specified = existsSync(specification) ? json(Bun.YAML.parse(readFileSync(specification, 'utf8'))) : {}
  const strict = json(JSON.parse(JSON.stringify(openApiDocument({ version: '0.0.0-test', basePath: '', strict: true }))))
  const parts = json(json(specified.components).parameters)
  const local = (parameter: Json): Json =>
    typeof parameter.$ref === 'string' ? json(parts[parameter.$ref.slice(parameter.$ref.lastIndexOf('/') + 1)]) : parameter

  const cases = entries(specified.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [method, path, json(item[method]), item] as const),
  )

  test('is compared with all of its operations', () => {
    expect(cases.length).toBe(58)
  })

  test.each(cases)('has %s %s with its id, parameters, statuses and headers', (method, path, expected, item) => {
    const found = json(json(json(strict.paths)[path])[method])
    expect(found.operationId).toBe(expected.operationId)
    expect(found.tags).toEqual(expected.tags)
    const names = (operation: Json, more: readonly Json[], find: (parameter: Json) => Json) =>
      [...items(operation.parameters), ...more].map(find).map((parameter) => `${parameter.in} ${parameter.name}`)
    const documented = names(found, [], deref)
    expect(documented.toSorted()).toEqual(names(expected, items(item.parameters), local).toSorted())
    const statuses = Object.keys(json(found.responses))
    for (const [status, answer] of entries(expected.responses)) {
      expect(statuses).toContain(status)
      const headers = Object.keys(json(deref(json(json(found.responses)[status])).headers))
      expect(headers).toEqual(expect.arrayContaining(Object.keys(json(answer.headers))))
    }
  })
})
