import { expect } from 'bun:test'
import { type Answer, type Json, list, object } from './answers.ts'
import type { TestApp } from './app.ts'

export const uuid = (): string => crypto.randomUUID()

export const format = {
  video: 'urn:x-nmos:format:video',
  image: 'urn:x-tam:format:image',
  audio: 'urn:x-nmos:format:audio',
  data: 'urn:x-nmos:format:data',
  multi: 'urn:x-nmos:format:multi',
} as const

export type Body = Record<string, unknown> & { id: string; source_id: string }
type Members = Readonly<Record<string, unknown>>

const flow = (technical: Members, over: Members): Body => ({ id: uuid(), source_id: uuid(), ...technical, ...over })

/** Complete bodies for `PUT /flows/{id}`, with new ids. */
export const videoFlow = (over: Members = {}): Body =>
  flow(
    {
      format: format.video,
      codec: 'video/h264',
      container: 'video/mp2t',
      essence_parameters: { frame_width: 1920, frame_height: 1080, frame_rate: { numerator: 25, denominator: 1 } },
    },
    over,
  )

export const audioFlow = (over: Members = {}): Body =>
  flow({ format: format.audio, codec: 'audio/aac', container: 'video/mp2t', essence_parameters: { sample_rate: 48000, channels: 2 } }, over)

export const imageFlow = (over: Members = {}): Body =>
  flow(
    { format: format.image, codec: 'image/jpeg', container: 'image/jpeg', essence_parameters: { frame_width: 640, frame_height: 360 } },
    over,
  )

export const dataFlow = (over: Members = {}): Body =>
  flow({ format: format.data, codec: 'application/ttml+xml', container: 'application/mp4', essence_parameters: {} }, over)

export const multiFlow = (over: Members = {}): Body => flow({ format: format.multi }, over)

/** The answer has this status; its body is shown when not. */
export const expectStatus = (answer: Answer, status: number): Answer => {
  if (answer.status !== status) throw new Error(`status ${answer.status}, expected ${status}: ${answer.text.slice(0, 1000)}`)
  return answer
}

/** A 400 whose text names the member or parameter at fault. */
export const expectInvalid = (answer: Answer, field?: string): void => {
  expectStatus(answer, 400)
  if (field !== undefined) expect(object(answer).summary).toContain(field)
}

export const createFlow = async (app: TestApp, body: Body = videoFlow()): Promise<Body> => {
  expectStatus(await app.put(`/flows/${body.id}`, body), 201)
  return body
}

export const readFlow = async (app: TestApp, id: string, query = ''): Promise<Json> =>
  object(expectStatus(await app.get(`/flows/${id}${query}`), 200))

export const readSource = async (app: TestApp, id: string): Promise<Json> => object(expectStatus(await app.get(`/sources/${id}`), 200))

export interface Allocated {
  readonly object_id: string
  readonly put_url: { readonly url: string; readonly 'content-type'?: string; readonly headers?: Readonly<Record<string, string>> }
  readonly presigned?: boolean
}

const isAllocated = (value: unknown): value is Allocated =>
  typeof value === 'object' && value !== null && 'object_id' in value && 'put_url' in value

/** `POST /flows/{id}/storage`, which has to succeed. */
export const allocate = async (app: TestApp, flowId: string, body: unknown = { limit: 1 }): Promise<Allocated[]> => {
  const objects = object(expectStatus(await app.post(`/flows/${flowId}/storage`, body), 201)).media_objects
  return Array.isArray(objects) ? objects.filter(isAllocated) : []
}

export const allocateOne = async (app: TestApp, flowId: string, body: unknown = { limit: 1 }): Promise<Allocated> => {
  const [first] = await allocate(app, flowId, body)
  if (!first) throw new Error('nothing was allocated')
  return first
}

/** An external object: no storage needed, one URL with a label of its own. */
export const external = (timerange: string, over: Members = {}): Record<string, unknown> & { object_id: string; timerange: string } => ({
  object_id: uuid(),
  timerange,
  get_urls: [{ url: `https://media.example.com/${uuid()}`, label: 'example' }],
  ...over,
})

export const postSegment = (app: TestApp, flowId: string, segment: unknown): Promise<Answer> =>
  app.post(`/flows/${flowId}/segments`, segment)

/** Registers one external object for each time range, in one request, and gives their ids. */
export const register = async (app: TestApp, flowId: string, ...timeranges: readonly string[]): Promise<string[]> => {
  const segments = timeranges.map((timerange) => external(timerange))
  for (let start = 0; start < segments.length; start += 500)
    expectStatus(await postSegment(app, flowId, segments.slice(start, start + 500)), 201)
  return segments.map((segment) => segment.object_id)
}

export const segmentsOf = async (app: TestApp, flowId: string, query = ''): Promise<Json[]> =>
  list(expectStatus(await app.get(`/flows/${flowId}/segments${query}`), 200))

export const timerangesOf = async (app: TestApp, flowId: string, query = ''): Promise<unknown[]> =>
  (await segmentsOf(app, flowId, query)).map((segment) => segment.timerange)

/** The URL of `Link`, or undefined on the last page. */
export const nextLink = (answer: Answer): string | undefined => /^<([^>]*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]

/** All items of a listing, following `Link`. `between` runs after each page. */
export const walk = async (app: TestApp, path: string, between: (page: Json[]) => Promise<void> = async () => {}): Promise<Json[]> => {
  const items: Json[] = []
  let target: string | undefined = path
  for (let pages = 0; target !== undefined; pages++) {
    if (pages > 200) throw new Error(`no end to the pages of ${path}`)
    const answer: Answer = expectStatus(await app.get(target), 200)
    const page = list(answer)
    items.push(...page)
    await between(page)
    target = nextLink(answer)
  }
  return items
}

export const ids = (items: readonly Json[]): unknown[] => items.map((item) => item.id)

/** `count` back-to-back ranges of one second, from `[first:0_first+1:0)`. */
export const seconds = (count: number, first = 0): string[] =>
  Array.from({ length: count }, (_, index) => `[${first + index}:0_${first + index + 1}:0)`)
