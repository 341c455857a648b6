import type { Json } from './answers.ts'

export interface StreamedEvent {
  readonly id: string
  readonly type: string
  readonly data: Json & { readonly event: Json }
}

/** A reader of Server-Sent Events: what has come so far, and a way to wait for more. */
export interface StreamReader {
  readonly events: StreamedEvent[]
  /** The id to come back with, as browsers remember it: also of blocks without data. */
  lastId(): string | undefined
  beats(): number
  have(count: number): Promise<StreamedEvent[]>
  /** Resolves when the first bytes are there. */
  readonly opened: Promise<void>
  readonly ended: Promise<void>
  close(): Promise<void>
}

export const readStream = (response: Response): StreamReader => {
  const events: StreamedEvent[] = []
  let last: string | undefined
  let beats = 0
  let wake: (() => void)[] = []
  const opened = Promise.withResolvers<void>()
  const reader = response.body?.getReader()
  const take = (block: string): void => {
    const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
    last = fields.get('id') ?? last
    const data = fields.get('data')
    if (data === undefined) beats++
    else events.push({ id: fields.get('id') ?? '', type: fields.get('event') ?? '', data: JSON.parse(data) as StreamedEvent['data'] })
  }
  const ended = (async () => {
    const decoder = new TextDecoder()
    let rest = ''
    for (;;) {
      const result = await reader?.read().catch(() => undefined)
      if (!result || result.done) break
      const blocks = (rest + decoder.decode(result.value, { stream: true })).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) take(block)
      opened.resolve()
      for (const each of wake) each()
      wake = []
    }
    opened.resolve()
    for (const each of wake) each()
  })()
  return {
    events,
    lastId: () => last,
    beats: () => beats,
    async have(count) {
      while (events.length < count) await new Promise<void>((resolve) => wake.push(resolve))
      return events
    },
    opened: opened.promise,
    ended,
    close: async () => {
      await reader?.cancel()
    },
  }
}
