import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { createDomain } from '../../src/domain/index.ts'
import type { MediaStore } from '../../src/storage/media.ts'
import { allocationSweepWorker } from '../../src/workers/allocation-sweep.ts'
import { mediaRemovalWorker } from '../../src/workers/media-removals.ts'
import { type Answer, readAnswer } from '../support/answers.ts'
import { openApp, origin, secondaryStorage, type TestApp } from '../support/app.ts'
import { inconsistencies, strayBytes } from '../support/consistency.ts'
import { faultyTables } from '../support/faulty-tables.ts'
import {
  allocateOne,
  createFlow,
  expectInvalid,
  expectStatus,
  external,
  multiFlow,
  postSegment,
  readFlow,
  segmentsOf,
  timerangesOf,
  uuid,
  videoFlow,
} from '../support/fixtures.ts'
import { runUntilIdle } from '../support/workers.ts'

let app: TestApp
let flowId: string
beforeEach(async () => {
  app = await openApp({ settings: { strict: false, requireUploadedObjects: true } })
  flowId = (await createFlow(app)).id
})
afterEach(async () => {
  expect(await inconsistencies(app.deps.tables)).toEqual([])
  expect(app.errors).toEqual([])
  await app.close()
})

const BYTES = 'the bytes of the object\r\n--not a boundary'
const EDGE = 'edge'
const head = (name: string, more = '') => `--${EDGE}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n`
const segmentPart = (segment: unknown) => `${head('segment')}Content-Type: application/json\r\n\r\n${JSON.stringify(segment)}\r\n`
const filePart = (bytes = BYTES, type = 'video/mp2t') => `${head('file', '; filename="a.ts"')}Content-Type: ${type}\r\n\r\n${bytes}\r\n`
const END = `--${EDGE}--\r\n`
const form = (segment: unknown, bytes?: string, type?: string) => segmentPart(segment) + filePart(bytes, type) + END
const type = { 'content-type': `multipart/form-data; boundary=${EDGE}` }

const send = async (body: BodyInit, to = flowId, on = app): Promise<Answer> =>
  readAnswer(await on.fetch(`${origin}/flows/${to}/segments`, { method: 'POST', body, headers: type }))
const streamOf = (...pieces: readonly string[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(Buffer.from(piece))
      controller.close()
    },
  })

const segmentOf = (timerange = '[0:0_1:0)', over = {}) => ({ object_id: uuid(), timerange, ...over })
const objectRow = (id: string) => app.deps.tables.read((tx) => tx.find('objects', [id, '']))
const storedKeys = async (on = app): Promise<string[]> => {
  const keys: string[] = []
  for (const { store } of on.deps.backends) for await (const { key } of store.list({})) keys.push(key)
  return keys
}
const removeBytes = () => runUntilIdle(app.deps, mediaRemovalWorker(app.deps))
/** No allocation, no bytes, not even of a temporary file. */
const expectNothingLeft = async (id: string): Promise<void> => {
  await removeBytes()
  expect(await objectRow(id)).toBeUndefined()
  expect(await storedKeys()).toEqual([])
  expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
  const files = await readdir(path.join(app.directory, 'media'), { recursive: true, withFileTypes: true })
  expect(files.filter((file) => file.isFile()).map((file) => file.name)).toEqual([])
}
const bytesOf = async (id: string): Promise<string> => {
  const [segment] = await segmentsOf(app, flowId, `?object_id=${encodeURIComponent(id)}`)
  const [url] = Array.isArray(segment?.get_urls) ? segment.get_urls : []
  const answer = await app.fetch(url.url)
  expect(answer.headers.get('content-type')).toBe('video/mp2t')
  return answer.text()
}

describe('an upload through the server', () => {
  test('stores the bytes and registers the segment, whose object was never allocated', async () => {
    const segment = segmentOf('[0:0_1:0)', { object_id: 'a/b ü', key_frame_count: 2, tags: { goal: 'home' } })
    const answer = expectStatus(await send(form(segment)), 201)
    expect(answer.text).toBe('')
    expect(await bytesOf('a/b ü')).toBe(BYTES)
    expect(await segmentsOf(app, flowId)).toMatchObject([
      { object_id: 'a/b ü', timerange: '[0:0_1:0)', key_frame_count: 2, tags: { goal: 'home' } },
    ])
    expect((await app.events(flowId)).slice(-1)).toEqual(['flows/segments_added'])
  })

  test('comes as the runtime makes forms, and in any chunks', async () => {
    const data = new FormData()
    const segment = segmentOf()
    data.set('segment', JSON.stringify(segment))
    data.set('file', new Blob([BYTES], { type: 'video/mp2t' }), 'a.ts')
    const answer = await app.fetch(`${origin}/flows/${flowId}/segments`, { method: 'POST', body: data })
    expect(answer.status).toBe(201)
    expect(await bytesOf(segment.object_id)).toBe(BYTES)
    const other = segmentOf('[1:0_2:0)')
    expectStatus(await send(streamOf(...form(other))), 201)
    expect(await bytesOf(other.object_id)).toBe(BYTES)
  })

  test('goes where its object was allocated, once', async () => {
    const { object_id, put_url } = await allocateOne(app, flowId, { limit: 1, storage_id: secondaryStorage })
    expectStatus(await send(form({ object_id, timerange: '[0:0_1:0)' }, BYTES, 'text/plain')), 201)
    expect(await bytesOf(object_id)).toBe(BYTES)
    const secondary = app.deps.backends.find(({ info }) => info.id === secondaryStorage)
    expect(await Array.fromAsync(secondary?.store.list({}) ?? [])).toHaveLength(1)
    const headers = { 'content-type': 'video/mp2t' }
    expect((await app.fetch(put_url.url, { method: 'PUT', body: 'other', headers })).status).toBe(409)
  })

  test('that is repeated because its answer was lost is answered like the first', async () => {
    const segment = segmentOf()
    expectStatus(await send(form(segment)), 201)
    const events = await app.events(flowId)
    expectStatus(await send(form(segment, 'other bytes')), 201)
    expect(await bytesOf(segment.object_id)).toBe(BYTES)
    expect(await app.events(flowId)).toEqual(events)
    expectInvalid(await send(form({ ...segment, key_frame_count: 5 })), 'key_frame_count')
    expectInvalid(await send(form({ ...segment, timerange: '[5:0_6:0)', ts_offset: '5:0' })), 'object_id')
    expect(await bytesOf(segment.object_id)).toBe(BYTES)
  })

  test('gives a flow without container that of the file, in the transaction of the segment', async () => {
    const { container: _, ...rest } = videoFlow()
    const { id } = await createFlow(app, rest)
    expectInvalid(await send(form(segmentOf(), BYTES, 'application/octet-stream'), id), 'container')
    expectInvalid(await send(form({ ...segmentOf(), timerange: '_' }), id), 'timerange')
    expect((await readFlow(app, id)).container).toBeUndefined()
    expectStatus(await send(form(segmentOf(), BYTES, 'video/MP2T; x=y'), id), 201)
    expect((await readFlow(app, id)).container).toBe('video/mp2t')
    expect((await app.events(id)).slice(-2)).toEqual(['flows/updated', 'flows/segments_added'])
    expect(await storedKeys()).toHaveLength(1)
    expectInvalid(await send(form(segmentOf('[5:0_6:0)'), BYTES, 'nonsense'), (await createFlow(app, multiFlow())).id), 'container')
  })
})

describe('nothing is left behind', () => {
  const refused: readonly (readonly [string, (id: string) => BodyInit, number, string])[] = [
    [
      'that breaks off inside the file',
      (id) => segmentPart(segmentOf('[5:0_6:0)', { object_id: id })) + filePart().slice(0, -9),
      400,
      'body',
    ],
    ['that breaks off before the end of the form', (id) => form(segmentOf('[5:0_6:0)', { object_id: id })).slice(0, -4), 400, 'body'],
    [
      'with something behind the file',
      (id) => form(segmentOf('[5:0_6:0)', { object_id: id })).slice(0, -END.length) + filePart() + END,
      400,
      'body',
    ],
    ['over another segment', (id) => form(segmentOf('[0:500_6:0)', { object_id: id })), 400, 'already exist'],
    ['of a segment that is none', (id) => form({ object_id: id }), 400, 'timerange'],
    ['of a list', (id) => form([segmentOf('[5:0_6:0)', { object_id: id })]), 400, 'body'],
    ['without a file', (id) => segmentPart(segmentOf('[5:0_6:0)', { object_id: id })) + END, 400, 'file'],
    ['without a segment', () => filePart() + END, 400, 'segment'],
    ['with the file first', (id) => filePart() + segmentPart(segmentOf('[5:0_6:0)', { object_id: id })) + END, 400, 'segment'],
    ['with a segment that is no JSON', () => `${head('segment')}\r\n{"object_id"\r\n${filePart()}${END}`, 400, 'JSON'],
    ['with a segment that has no end', () => `${head('segment')}\r\n"${'x'.repeat(2_000_000)}"\r\n${filePart()}${END}`, 413, 'body'],
    ['that is no form', () => 'hello', 400, 'body'],
    [
      'with an unknown init object',
      (id) => form(segmentOf('[5:0_6:0)', { object_id: id, init_object_id: 'nobody' })),
      400,
      'init_object_id',
    ],
  ]
  test.each(refused)('by a form %s', async (_, body, status, reason) => {
    expectStatus(await postSegment(app, flowId, external('[0:0_1:0)')), 201)
    const id = uuid()
    const answer = expectStatus(await send(body(id)), status)
    expect(answer.text).toContain(reason)
    expect(await timerangesOf(app, flowId)).toEqual(['[0:0_1:0)'])
    await expectNothingLeft(id)
  })

  test('where the flow is unknown (404), read-only (403), and the form is not looked at', async () => {
    expectStatus(await send('hello', uuid()), 404)
    expectStatus(await app.put(`/flows/${flowId}/read_only`, true), 204)
    const segment = segmentOf()
    expectStatus(await send(form({ ...segment, timerange: 'x' })), 403)
    await expectNothingLeft(segment.object_id)
  })

  test('by a registration that is refused when the bytes are there; an allocation of before goes with them', async () => {
    const { object_id } = await allocateOne(app, flowId)
    // Another segment comes while the file is on its way.
    const late = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const pieces = [segmentPart({ object_id, timerange: '[0:0_1:0)' }) + filePart().slice(0, -20), filePart().slice(-20) + END]
          const piece = pieces[sent++]
          if (sent === 2) expectStatus(await postSegment(app, flowId, external('[0:0_1:0)')), 201)
          if (piece === undefined) controller.close()
          else controller.enqueue(Buffer.from(piece))
        },
      },
      { highWaterMark: 0 },
    )
    let sent = 0
    expect(expectStatus(await send(late), 400).text).toContain('already exist')
    await expectNothingLeft(object_id)
    expectStatus(await send(form({ object_id, timerange: '[5:0_6:0)' })), 201)
    expect(await bytesOf(object_id)).toBe(BYTES)
  })

  test('by bytes that were there before: these stay, and so does their allocation', async () => {
    const { object_id, put_url } = await allocateOne(app, flowId)
    const headers = { 'content-type': 'video/mp2t', ...put_url.headers }
    expect((await app.fetch(put_url.url, { method: 'PUT', body: 'first', headers })).status).toBe(200)
    expectStatus(await send(form({ object_id, timerange: '[0:0_1:0)' })), 409)
    expectStatus(await postSegment(app, flowId, { object_id, timerange: '[0:0_1:0)' }), 201)
    expect(await bytesOf(object_id)).toBe('first')
  })

  test('by an allocation for another flow or one that has lapsed', async () => {
    const other = await createFlow(app)
    const foreign = await allocateOne(app, other.id)
    expectInvalid(await send(form({ object_id: foreign.object_id, timerange: '[0:0_1:0)' })), 'object_id')
    const lapsed = await allocateOne(app, flowId)
    app.clock.advance(4000)
    expectInvalid(await send(form({ object_id: lapsed.object_id, timerange: '[0:0_1:0)' })), 'object_id')
    expect(await storedKeys()).toEqual([])
  })

  test('by a client that goes away in the middle of the file', async () => {
    const id = uuid()
    const port = app.listen()
    const whole = form(segmentOf('[0:0_1:0)', { object_id: id }), 'x'.repeat(500_000))
    const socket = connect(port, '127.0.0.1')
    const sent = Promise.withResolvers<void>()
    socket.on('error', () => undefined)
    const lines = [
      `POST /flows/${flowId}/segments HTTP/1.1`,
      'Host: localhost',
      `Content-Type: ${type['content-type']}`,
      `Content-Length: ${whole.length}`,
    ]
    socket.write(`${lines.join('\r\n')}\r\n\r\n${whole.slice(0, 300_000)}`, () => sent.resolve())
    await sent.promise
    await until(async () => (await objectRow(id)) !== undefined)
    socket.destroy()
    await until(async () => (await objectRow(id)) === undefined)
    await expectNothingLeft(id)
  })

  test('by a process that ends in the middle of the file: the sweep takes the allocation, and late bytes are removed', async () => {
    const id = uuid()
    const started = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    let pulled = 0
    const stalling = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const pieces = [segmentPart(segmentOf('[0:0_1:0)', { object_id: id })) + filePart().slice(0, -20), filePart().slice(-20) + END]
          if (pulled === 1) {
            started.resolve()
            await go.promise
          }
          const piece = pieces[pulled++]
          if (piece === undefined) controller.close()
          else controller.enqueue(Buffer.from(piece))
        },
      },
      { highWaterMark: 0 },
    )
    const answered = send(stalling)
    await started.promise
    await until(async () => (await objectRow(id)) !== undefined)
    app.clock.advance(3600 + 301)
    await runUntilIdle(app.deps, allocationSweepWorker(app.deps))
    await removeBytes()
    expect(await objectRow(id)).toBeUndefined()
    go.resolve()
    expectInvalid(await answered, 'object_id')
    await expectNothingLeft(id)
  })
})

/** Waits for something that another turn of the event loop brings. */
const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise<void>((resolve) => setImmediate(resolve))
}

describe('whatever call fails', () => {
  const uploadOf = (segment: unknown) => () => ({
    segment,
    contentType: 'video/mp2t',
    file: streamOf('the ', 'bytes'),
    end: async () => {},
  })
  const context = {
    principal: { name: 'test' },
    visible: { sources: all(), flows: all(), storage_backends: all(), webhooks: all() },
    requestId: 'r',
    baseUrl: origin,
  }

  /** Uploads once with the n-th call failing, and once without; gives whether the n-th call was reached. */
  const twice = async (failing: Partial<typeof app.deps>, timerange: string, reached: () => boolean): Promise<boolean> => {
    const { id } = await createFlow(app, videoFlow({ container: undefined }))
    const segment = segmentOf(timerange)
    const failed = await createDomain({ ...app.deps, ...failing })
      .segments.upload(context, id, uploadOf(segment))
      .then(
        () => false,
        () => true,
      )
    await runUntilIdle(app.deps, allocationSweepWorker(app.deps))
    const wasReached = reached()
    const registered = (await timerangesOf(app, id)).length === 1
    if (failed && !registered) {
      // What could not be given back is an allocation, which lapses.
      app.clock.advance(4000)
      await runUntilIdle(app.deps, allocationSweepWorker(app.deps))
      await removeBytes()
      expect(await objectRow(segment.object_id)).toBeUndefined()
    }
    expect(await strayBytes(app.deps.tables, app.deps.backends)).toEqual([])
    expect(await inconsistencies(app.deps.tables)).toEqual([])
    await createDomain(app.deps).segments.upload(context, id, uploadOf(segment))
    expect(await timerangesOf(app, id)).toEqual([timerange])
    expect((await storedKeys()).filter((key) => key.includes(segment.object_id))).toHaveLength(1)
    return wasReached
  }

  test('of the tables, nothing is left and the next try succeeds', async () => {
    const faulty = faultyTables(app.deps.tables)
    let n = 1
    for (; n < 200; n++) {
      faulty.arm(n)
      if (!(await twice({ tables: faulty.tables }, '[0:0_1:0)', () => faulty.calls >= n))) break
    }
    expect(n).toBeGreaterThan(20)
    expect(n).toBeLessThan(200)
  }, 120_000)

  test('of the store, before or after it has done its work', async () => {
    for (const after of [false, true])
      for (let n = 1; n < 5; n++) {
        let calls = 0
        const backends = app.deps.backends.map(({ info, store }) => ({ info, store: failingStore(store, () => ++calls === n, after) }))
        await twice({ backends }, '[0:0_1:0)', () => calls >= n)
      }
  }, 120_000)
})

const failingStore = (store: MediaStore, fails: () => boolean, after: boolean): MediaStore =>
  new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'put' && name !== 'head' && name !== 'delete') return member.bind(target)
      return async (...args: unknown[]) => {
        const failing = fails()
        if (failing && !after) throw new Error('the store is away')
        const value: unknown = await Reflect.apply(member, target, args)
        if (failing) throw new Error('the answer was lost')
        return value
      }
    },
  })

function all() {
  return { kind: 'and', terms: [] } as const
}

test('strict mode takes no forms', async () => {
  const strict = await openApp({ settings: { strict: true } })
  const { id } = await createFlow(strict)
  expectStatus(await send(form(segmentOf()), id, strict), 415)
  expect(await storedKeys(strict)).toEqual([])
  await strict.close()
})
