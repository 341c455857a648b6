import type { ByteRange } from '../../src/storage/media.ts'
import { contentRange } from './ranges.ts'

export interface RangeSource {
  readonly size: number
  readonly contentType: string
  stream(range: ByteRange): ReadableStream<Uint8Array>
  close(): Promise<void>
}

/** The body of `multipart/byteranges` (RFC 9110 14.6), part by part; closes `source` at the end, after a failure or a cancel. */
export const multipartRanges = (source: RangeSource, ranges: readonly ByteRange[], boundary: string): ReadableStream<Uint8Array> => {
  const chunks = parts(source, ranges, boundary)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await chunks.return(undefined)
        await source.close()
      },
    },
    { highWaterMark: 0 },
  )
}

async function* parts(source: RangeSource, ranges: readonly ByteRange[], boundary: string): AsyncGenerator<Uint8Array, undefined> {
  const encoder = new TextEncoder()
  try {
    for (const range of ranges) {
      const head = `\r\n--${boundary}\r\nContent-Type: ${source.contentType}\r\nContent-Range: ${contentRange(range, source.size)}\r\n\r\n`
      yield encoder.encode(head)
      yield* source.stream(range)
    }
    yield encoder.encode(`\r\n--${boundary}--\r\n`)
    return undefined
  } finally {
    await source.close()
  }
}
