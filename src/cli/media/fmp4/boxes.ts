import { CliError } from '../../cli-error.ts'

/**
 * Boxes of the ISO base media file format (ISO/IEC 14496-12 section 4.2): what is needed to take fragmented MP4 apart, to write
 * fragments, and to move them on the timeline. Gaps: no encryption, no boxes that last until the end of the file.
 */
export interface Box {
  readonly type: string
  /** Byte offsets of its header, of what is behind the header, and of its end. */
  readonly at: number
  readonly bodyAt: number
  readonly end: number
}

const HEADER = 8
const LONG_HEADER = 16

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

// 0: size (uint32, 1: see behind the type)   4: type   8: size (uint64) where the first one is 1
export const headerAt = (bytes: Uint8Array, at: number): { readonly type: string; readonly size: number; readonly header: number } => {
  const view = viewOf(bytes)
  const short = view.getUint32(at)
  const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
  const size = short === 1 ? Number(view.getBigUint64(at + 8)) : short
  const header = short === 1 ? LONG_HEADER : HEADER
  if (!/^[\x20-\x7e\xa9]{4}$/.test(type) || size < header)
    throw new CliError(`no MP4: the box at byte ${at} has the type ${JSON.stringify(type)} and the size ${size}`)
  return { type, size, header }
}

/** The boxes behind each other in `[from, to)`. */
export function* boxesIn(bytes: Uint8Array, from = 0, to = bytes.length): Generator<Box> {
  for (let at = from; at < to; ) {
    if (at + HEADER > to) throw new CliError(`no MP4: ${to - at} bytes behind the last box at byte ${at}`)
    const { type, size, header } = headerAt(bytes, at)
    if (at + size > to) throw new CliError(`no MP4: box ${type} at byte ${at} has ${size} bytes, ${to - at} are left`)
    yield { type, at, bodyAt: at + header, end: at + size }
    at += size
  }
}

export const childrenOf = (bytes: Uint8Array, parent: Box, type?: string): readonly Box[] =>
  [...boxesIn(bytes, parent.bodyAt, parent.end)].filter((box) => type === undefined || box.type === type)

/** The box at a path of types below `parent`; throws where one is missing. */
export const descend = (bytes: Uint8Array, parent: Box, ...path: readonly string[]): Box =>
  path.reduce((box, type) => {
    const [found] = childrenOf(bytes, box, type)
    if (!found) throw new CliError(`no MP4 as expected: box ${box.type} has no ${type}`)
    return found
  }, parent)

/** A box around its content. */
export const makeBox = (type: string, ...parts: readonly Uint8Array[]): Uint8Array => {
  const size = parts.reduce((sum, part) => sum + part.length, HEADER)
  const bytes = new Uint8Array(size)
  viewOf(bytes).setUint32(0, size)
  bytes.set(Buffer.from(type, 'latin1'), 4)
  let at = HEADER
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Unsigned 32-bit numbers behind each other, as most boxes consist of; negative ones in two's complement. */
export const words = (...values: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(4 * values.length)
  const view = viewOf(bytes)
  values.forEach((value, i) => {
    view.setUint32(4 * i, value >>> 0)
  })
  return bytes
}

/** The top-level boxes of a stream, whole, one at a time. */
export async function* boxesOf(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly type: string; readonly bytes: Uint8Array }, void> {
  let held: Uint8Array[] = []
  let length = 0
  let size: number | undefined
  for await (const chunk of chunks) {
    held.push(chunk)
    length += chunk.length
    for (;;) {
      // Joined only to read a header or to give a box away: a box of many chunks is copied once.
      if (size === undefined && length >= LONG_HEADER) {
        held = [Buffer.concat(held)]
        size = headerAt(held[0] ?? new Uint8Array(0), 0).size
      }
      if (size === undefined || length < size) break
      const bytes = Buffer.concat(held)
      const { type } = headerAt(bytes, 0)
      yield { type, bytes: bytes.subarray(0, size) }
      held = [bytes.subarray(size)]
      length -= size
      size = undefined
    }
  }
  const rest = Buffer.concat(held)
  for (const { type, at, end } of boxesIn(rest)) yield { type, bytes: rest.subarray(at, end) }
}
