import { TamsError } from '../../core/errors.ts'

/** A body, cut into parts of given size while its MD5 is computed. */
export interface PartReader {
  /** The next `size` bytes; fewer at the end, then none. Throws `invalid` when the body breaks, the signal's reason when aborted. */
  next(size: number): Promise<Uint8Array>
  /** Of everything read, in base64. Ends the computation: for after the last part. */
  md5(): string
  /** Nothing more is wanted of the body. */
  cancel(reason: unknown): Promise<void>
}

export const createPartReader = (body: ReadableStream<Uint8Array>, signal: AbortSignal | undefined): PartReader => {
  const reader = body.getReader()
  const hash = new Bun.CryptoHasher('md5')
  let rest = new Uint8Array()
  let ended = false

  const read = async (): Promise<Uint8Array | undefined> => {
    signal?.throwIfAborted()
    // Wakes a read that waits for a client; the check behind it gives the reason.
    const wake = () => void reader.cancel(signal?.reason).catch(() => undefined)
    signal?.addEventListener('abort', wake, { once: true })
    try {
      const { done, value } = await reader.read()
      signal?.throwIfAborted()
      return done ? undefined : value
    } catch (cause) {
      signal?.throwIfAborted()
      throw new TamsError('invalid', 'body: the upload broke off before its end', { field: 'body', cause })
    } finally {
      signal?.removeEventListener('abort', wake)
    }
  }

  return {
    async next(size) {
      const pieces: Uint8Array[] = rest.length > 0 ? [rest] : []
      let length = rest.length
      while (length < size && !ended) {
        const chunk = await read()
        if (chunk === undefined) {
          ended = true
        } else {
          hash.update(chunk)
          pieces.push(chunk)
          length += chunk.length
        }
      }
      const whole = Buffer.concat(pieces, length)
      rest = new Uint8Array(whole.subarray(size))
      return whole.subarray(0, size)
    },
    md5: () => hash.digest('base64'),
    cancel: (reason) => reader.cancel(reason),
  }
}
