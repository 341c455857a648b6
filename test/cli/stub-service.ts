import type { Flow, Segment, SegmentPost } from '../../src/cli/tams-types.ts'
import { TimeRange } from '../../src/core/time-range.ts'

/** As much of a TAMS service, in memory, as the command line talks to; `fetch` stands for the network. */
export class StubService {
  readonly flows = new Map<string, Flow>()
  readonly segments = new Map<string, SegmentPost[]>()
  readonly media = new Map<string, { readonly type: string | null; readonly bytes: Uint8Array }>()
  /** Method and path of every request. */
  readonly log: string[] = []
  /** Gives an answer of its own, or throws as a broken connection does, before the service sees the request. */
  interfere: (request: Request) => Response | undefined = () => undefined
  private objects = 0

  readonly fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    const request = new Request(url, init)
    this.log.push(`${request.method} ${new URL(url).pathname}`)
    return this.interfere(request) ?? this.answer(request)
  }

  private async answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const [, collection, id = '', sub] = pathname.split('/').map(decodeURIComponent)
    if (collection === 'media') return this.bytes(request, id)
    if (collection === 'objects' && this.media.has(id))
      return Response.json({ id, referenced_by_flows: [], get_urls: [{ url: `http://media.test/media/${id}` }] })
    if (collection !== 'flows') return failure(404, `${pathname} was not found`)
    if (sub === 'storage') return this.allocate((await request.json()) as { limit: number })
    if (sub === 'segments' && request.method === 'POST') return this.register(id, (await request.json()) as SegmentPost[])
    if (sub === 'segments') return this.list(id, searchParams)
    if (request.method === 'PUT') {
      this.flows.set(id, (await request.json()) as Flow)
      return new Response(null, { status: 204 })
    }
    const flow = this.flows.get(id)
    return flow ? Response.json(flow) : failure(404, `Flow ${id} was not found`)
  }

  private async bytes(request: Request, id: string): Promise<Response> {
    if (request.method === 'PUT') {
      this.media.set(id, { type: request.headers.get('content-type'), bytes: await request.bytes() })
      return new Response(null, { status: 200 })
    }
    const found = this.media.get(id)
    return found ? new Response(found.bytes.slice()) : failure(404, `${id} was not found`)
  }

  /** At most three at a time, as a service may give fewer than asked for. */
  private allocate({ limit }: { limit: number }): Response {
    const allocations = Array.from({ length: Math.min(limit, 3) }, () => {
      const object_id = `object-${++this.objects}`
      return { object_id, put_url: { url: `http://media.test/media/${object_id}`, 'content-type': 'video/mp2t' } }
    })
    return Response.json({ media_objects: allocations }, { status: 201 })
  }

  private register(flowId: string, posts: readonly SegmentPost[]): Response {
    const held = this.segments.get(flowId) ?? []
    this.segments.set(flowId, held)
    const failed = posts.filter((post) => {
      const range = TimeRange.parse(post.timerange)
      if (held.some((other) => other.object_id === post.object_id && other.timerange === post.timerange)) return false
      if (held.some((other) => TimeRange.parse(other.timerange).overlaps(range))) return true
      held.push(post)
      return false
    })
    if (failed.length === 0) return new Response(null, { status: 201 })
    const error = { type: 'overlap', summary: 'it overlaps another segment', time: '2026-11-21T00:00:00Z' }
    return Response.json({ failed_segments: failed.map(({ object_id, timerange }) => ({ object_id, timerange, error })) })
  }

  /** Two segments a page. */
  private list(flowId: string, search: URLSearchParams): Response {
    const range = TimeRange.parse(search.get('timerange') ?? '_')
    const found = (this.segments.get(flowId) ?? []).filter((segment) => TimeRange.parse(segment.timerange).overlaps(range))
    const from = Number(search.get('page') ?? '0')
    const items = found.slice(from, from + 2).map((segment): Segment => {
      const urls = [{ url: `http://media.test/media/${segment.object_id}` }]
      return search.get('accept_get_urls') === '' ? segment : { ...segment, get_urls: urls }
    })
    search.set('page', String(from + 2))
    const headers: Record<string, string> = from + 2 < found.length ? { link: `<?${search}>; rel="next"` } : {}
    return Response.json(items, { headers })
  }
}

export const failure = (status: number, summary: string): Response =>
  Response.json({ type: 'error', summary, time: '2026-11-21T00:00:00Z', message: summary }, { status })
