import { TamsError } from './errors.ts'

/** The body of a request, held in memory. Throws `too_large` above `limit` bytes, without reading on. */
export const readBytes = async (request: Request, limit: number): Promise<Uint8Array> => {
  const length = Number(request.headers.get('content-length') ?? Number.NaN)
  if (length > limit) throw tooLarge(limit)
  if (length <= limit) return new Uint8Array(await request.arrayBuffer())
  // No length was announced (chunked): count while reading.
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const tooLarge = (limit: number) => new TamsError('too_large', `body: is larger than ${limit} bytes`, { field: 'body' })
