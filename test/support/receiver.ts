import type { Json } from './answers.ts'

export interface Received {
  readonly path: string
  readonly headers: Headers
  readonly text: string
  readonly body: Json & { readonly event_type: string; readonly event: Json }
}

type Answer = (received: Received, index: number) => Response | Promise<Response>

/** Something that webhooks are sent to, on a socket of 127.0.0.1. */
export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** How to answer from now on. Default: 200. */
  answer: Answer
  types(): string[]
  /** Resolves when so many have arrived. */
  have(count: number): Promise<void>
  close(): Promise<void>
}

export const openReceiver = (): Receiver => {
  const received: Received[] = []
  let wake: (() => void)[] = []
  const receiver = {
    received,
    answer: (() => new Response('ok')) as Answer,
    types: () => received.map(({ body }) => body.event_type),
  }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      const text = await request.text()
      const item = { path: new URL(request.url).pathname, headers: request.headers, text, body: JSON.parse(text) as Received['body'] }
      received.push(item)
      const answer = receiver.answer(item, received.length - 1)
      for (const each of wake) each()
      wake = []
      return answer
    },
  })
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${server.port}/hook`,
    async have(count: number) {
      while (received.length < count) await new Promise<void>((resolve) => wake.push(resolve))
    },
    close: () => server.stop(true),
  })
}
