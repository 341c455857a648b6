import type { Streamed } from './reader.ts'

/** What is needed of a WebSocket of the server. */
export interface Socket {
  /** −1: the message waits in the socket, and so would all that follow. */
  send(text: string): number
  close(code?: number, reason?: string): void
}

/** A slow reader is closed after so long, and may come back with its last id. */
const MAX_SLOW_MS = 30_000
const TRY_AGAIN_LATER = 1013

/** One open socket and what pushes events into it: while a message waits there, nothing more is taken from the log. */
export class SocketReader {
  readonly ending = new AbortController()
  private onDrain: (() => void) | undefined

  drained(): void {
    this.onDrain?.()
  }

  /** Sends each event as one text message, its `id` among the members. Never rejects. */
  async push(socket: Socket, events: AsyncGenerator<Streamed>): Promise<void> {
    try {
      for await (const item of events) {
        if (item.kind === 'beat') continue
        const drain = new Promise<void>((resolve) => {
          this.onDrain = resolve
        })
        if (socket.send(`{"id":"${item.id}",${item.json.slice(1)}`) === -1 && !(await this.inTime(drain)))
          return socket.close(TRY_AGAIN_LATER, 'reads too slowly')
      }
      socket.close(1001, 'the service ends')
    } catch {
      socket.close(1011, 'the store could not be read')
    }
  }

  private inTime(drain: Promise<void>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), MAX_SLOW_MS)
      const end = () => {
        clearTimeout(timer)
        resolve(true)
      }
      void drain.then(end)
      this.ending.signal.addEventListener('abort', end, { once: true })
    })
  }
}
