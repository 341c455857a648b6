import type { Streamed } from './reader.ts'

/** How long browsers wait before they connect again, in milliseconds. */
const RETRY_MS = 2000

const encoder = new TextEncoder()

/**
 * Server-Sent Events (WHATWG HTML 9.2). A message is taken from the log only when the reader has room for it: a slow reader costs
 * nothing but its place. `onEnd` runs at the latest when the reader has gone, and has to end `events` then. A beat carries the id too, so that a reader that saw no event comes back to the right place.
 */
export const sseBody = (events: AsyncGenerator<Streamed>, onEnd: () => void): ReadableStream<Uint8Array> => {
  let first = true
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await events.next()
        if (done) {
          onEnd()
          return controller.close()
        }
        controller.enqueue(encoder.encode(`${first ? `retry: ${RETRY_MS}\n` : ''}${format(value)}`))
        first = false
      },
      cancel() {
        onEnd()
      },
    },
    { highWaterMark: 1 },
  )
}

const format = (item: Streamed): string =>
  item.kind === 'event' ? `id: ${item.id}\nevent: ${item.type}\ndata: ${item.json}\n\n` : `: beat\nid: ${item.id}\n\n`
