import { invalid } from '../src/core/errors.ts'

/** One part of a form. Its body has to be read to the end before the next part is asked for. */
export interface FormPart {
  readonly name: string
  /** As sent; undefined where the part says nothing. */
  readonly contentType: string | undefined
  readonly body: ReadableStream<Uint8Array>
}

export interface FormReader {
  /** undefined behind the last part. Throws `invalid` for what is no form, or ends before its end. */
  next(): Promise<FormPart | undefined>
  /** Nothing more is wanted. */
  cancel(reason: unknown): Promise<void>
}

/** Bytes of one part's headers. Names of files are the longest of them. */
const MAX_HEADERS = 16 * 1024
/** Bytes in front of the first part, which mean nothing, and spaces behind a boundary. */
const MAX_PREAMBLE = 1024

/** The boundary of a `multipart/form-data` content type; undefined for any other type. Throws `invalid` without a good one. */
export const formBoundary = (contentType: string | null): string | undefined => {
  if (contentType === null || !/^\s*multipart\/form-data\s*(;|$)/i.test(contentType)) return undefined
  const [, quoted, token] = /;\s*boundary=(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)/i.exec(contentType) ?? []
  const boundary = quoted ?? token ?? ''
  // RFC 2046 5.1.1; what is beyond it some clients send nevertheless.
  if (!/^[!-~][ -~]{0,69}$/.test(boundary) || boundary.endsWith(' ')) throw invalid('content-type', 'has no boundary of 1 to 70 characters')
  return boundary
}

/**
 * The parts of a form (RFC 7578) one after the other, their bodies as streams: a chunk of the request is held at a time, whatever the
 * size of a part, and no more is read than is asked for.
 */
export const readForm = (source: ReadableStream<Uint8Array>, boundary: string): FormReader => {
  const reader = source.getReader()
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  // The first boundary has no line in front of it that it could end.
  let held: Buffer = Buffer.from('\r\n')
  let state: 'parts' | 'body' | 'ended' = 'parts'
  let first = true

  const read = async (): Promise<Buffer> => {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw brokenOff(cause)
    })
    if (done) throw brokenOff()
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  const fill = async (): Promise<void> => {
    held = Buffer.concat([held, await read()])
  }

  /** What comes in front of the next delimiter, which is taken away, in pieces; undefined behind the last. */
  const beforeDelimiter = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const at = held.indexOf(delimiter)
      // The end of what is held may be the beginning of a delimiter.
      const sure = at >= 0 ? at : held.length - delimiter.length + 1
      if (sure > 0) {
        const piece = held.subarray(0, sure)
        held = held.subarray(sure)
        return piece
      }
      if (at === 0) {
        held = held.subarray(delimiter.length)
        return undefined
      }
      const chunk = await read()
      const seam = Buffer.concat([held, chunk.subarray(0, delimiter.length)])
      const crosses = chunk.length < delimiter.length || seam.indexOf(delimiter) >= 0
      const piece = held
      // Chunks are joined only where a delimiter lies across them: copies of all would be garbage as large as the file.
      held = crosses ? Buffer.concat([held, chunk]) : chunk
      if (!crosses && piece.length > 0) return piece
    }
  }

  /** Up to `end`, which is taken away. */
  const upTo = async (end: string, most: number, what: string): Promise<string> => {
    for (;;) {
      const at = held.indexOf(end)
      if (at > most || (at < 0 && held.length > most + end.length))
        throw invalid('body', `${what} of the form is longer than ${most} bytes`)
      if (at >= 0) {
        const text = held.subarray(0, at).toString('utf8')
        held = held.subarray(at + end.length)
        return text
      }
      await fill()
    }
  }

  const skipPreamble = async (): Promise<void> => {
    let skipped = 0
    for (let piece = await beforeDelimiter(); piece; piece = await beforeDelimiter()) {
      skipped += piece.length
      if (skipped > MAX_PREAMBLE) throw invalid('body', 'does not begin with the boundary of the form')
    }
  }

  const bodyOf = (): ReadableStream<Uint8Array> =>
    new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const piece = await beforeDelimiter()
          if (piece) controller.enqueue(piece)
          else {
            state = 'parts'
            controller.close()
          }
        },
      },
      { highWaterMark: 0 },
    )

  return {
    async next() {
      if (state === 'ended') return undefined
      if (state === 'body') throw new Error('the part before has not been read to its end')
      if (first) await skipPreamble()
      first = false
      while (held.length < 2) await fill()
      if (held.subarray(0, 2).equals(CLOSING)) {
        state = 'ended'
        return undefined
      }
      const padding = await upTo('\r\n', MAX_PREAMBLE, 'a boundary')
      if (!/^[ \t]*$/.test(padding)) throw invalid('body', 'has other bytes behind a boundary of the form')
      // A part without headers begins with the empty line that ends them.
      held = Buffer.concat([Buffer.from('\r\n'), held])
      const headers = parseHeaders(await upTo('\r\n\r\n', MAX_HEADERS, 'a header'))
      state = 'body'
      return { ...headers, body: bodyOf() }
    },
    cancel: (reason) => reader.cancel(reason),
  }
}

const CLOSING = Buffer.from('--')

const brokenOff = (cause?: unknown) => invalid('body', 'the form broke off before its end', cause)

const parseHeaders = (text: string): Pick<FormPart, 'name' | 'contentType'> => {
  const headers = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  const disposition = headers.get('content-disposition') ?? ''
  const [, quoted, token] = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(disposition) ?? []
  const name = quoted ?? token
  if (!/^form-data\s*;/i.test(disposition) || name === undefined) throw invalid('body', 'has a part without a name')
  return { name, contentType: headers.get('content-type') }
}
