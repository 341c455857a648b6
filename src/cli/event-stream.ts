import { CliError } from './cli-error.ts'

export interface StreamedLine {
  readonly id: string
  readonly type: string
  readonly data: string
}

export interface FollowOptions {
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>
  /** Waits before a connection that broke is made again. */
  readonly pause?: (ms: number) => Promise<void>
  /** Events behind this one; without it only what happens from now on. */
  readonly after?: string
  readonly signal?: AbortSignal
  /** Value of the `Authorization` header. */
  readonly authorization?: string | undefined
}

const PAUSE_MS = 2000

/**
 * Events of `url`'s stream, for ever: a connection that breaks is made again and goes on behind the last event. Throws what a user can
 * act on when the service has no such stream or does not understand the query.
 */
export async function* followEvents(url: string, options: FollowOptions = {}): AsyncGenerator<StreamedLine> {
  const { fetch: ask = fetch, pause = Bun.sleep, signal, authorization } = options
  let last = options.after
  while (!signal?.aborted) {
    const response = await connect(
      ask,
      url,
      { ...(last !== undefined && { 'last-event-id': last }), ...(authorization && { authorization }) },
      signal,
    )
    for await (const block of response ? blocks(response) : []) {
      last = block.get('id') ?? last
      const data = block.get('data')
      if (data !== undefined) yield { id: block.get('id') ?? '', type: block.get('event') ?? '', data }
    }
    if (!signal?.aborted) await pause(PAUSE_MS)
  }
}

const connect = async (
  ask: NonNullable<FollowOptions['fetch']>,
  url: string,
  own: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Response | undefined> => {
  const headers = { accept: 'text/event-stream', ...own }
  const response = await ask(url, { headers, ...(signal && { signal }) }).catch((error: unknown) => {
    // Before the first connection a service that is not there is a mistake of the user, after it an interruption.
    if (own['last-event-id'] === undefined && !signal?.aborted) throw new CliError(`${url} could not be reached`, { cause: error })
    return undefined
  })
  if (!response || response.ok) return response
  const text = await response.text()
  if (response.status >= 500 || response.status === 429) return undefined
  throw new CliError(
    response.status === 404 ? `${url} is not there: the service has no event stream` : `${url} answered ${response.status}: ${text}`,
  )
}

/** The fields of each block; what a broken connection leaves unfinished is dropped. */
async function* blocks(response: Response): AsyncGenerator<ReadonlyMap<string, string>> {
  const decoder = new TextDecoder()
  let rest = ''
  const reader = response.body?.getReader()
  for (;;) {
    const chunk = await reader?.read().catch(() => undefined)
    if (!chunk || chunk.done) return
    const parts = (rest + decoder.decode(chunk.value, { stream: true })).split('\n\n')
    rest = parts.pop() ?? ''
    for (const part of parts) yield fields(part)
  }
}

const fields = (block: string): ReadonlyMap<string, string> =>
  new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).trimStart()]
    }),
  )
