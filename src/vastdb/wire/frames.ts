// The body of a QueryData answer: frames without a length of their own, all integers little-endian.
//   uint32 stream id   FFFFFFFF keep-alive · FFFFFFFE completed, the rest is ignored · FFFFFFFD failed: uint64 code, uint32 0
//                      0 … n-1  data of that sub-split: uint64 next row id, one encapsulated Arrow message
import {
  CONTINUATION,
  type Message,
  type MessageHeader,
  messageOf,
  PREFIX,
  readHeader,
  readPrefix,
  type SchemaMemo,
} from './ipc-message.ts'
import { WireError } from './wire-error.ts'

const KEEP_ALIVE = 0xffffffff
const COMPLETED = 0xfffffffe
const FAILED = 0xfffffffd
const MAX_SUBSPLITS = 64
/** Stream id and next row id. */
const DATA_HEAD = 12
const FIRST_ALLOCATION = 1024 * 1024

export type Frame =
  | { readonly kind: 'keep-alive'; readonly offset: number }
  | { readonly kind: 'completed'; readonly offset: number }
  | { readonly kind: 'failed'; readonly offset: number; readonly code: bigint; readonly detail: number }
  | { readonly kind: 'data'; readonly offset: number; readonly stream: number; readonly nextRowId: bigint; readonly message: Message }

export interface FrameLimits {
  /** Number of sub-splits asked for; a higher stream id is an error. Default 64. */
  readonly subsplits?: number
  /** Largest body of one message in bytes. Default 2 GiB - 1. */
  readonly maxBody?: number
  /** Schemas of earlier answers. */
  readonly schemas?: SchemaMemo | undefined
}

/** Bytes collected until there are enough of them. The room grows with what arrives, not with what a length claims. */
class Collector {
  #bytes: Uint8Array
  #length = 0
  #wanted: number

  constructor(wanted: number) {
    this.#bytes = new Uint8Array(Math.min(wanted, FIRST_ALLOCATION))
    this.#wanted = wanted
  }

  want(wanted: number): void {
    this.#wanted = wanted
  }

  get complete(): boolean {
    return this.#length === this.#wanted
  }

  get length(): number {
    return this.#length
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Takes what is still missing out of `chunk` from `at`; answers how many bytes that were. */
  take(chunk: Uint8Array, at: number): number {
    const count = Math.min(this.#wanted - this.#length, chunk.length - at)
    if (this.#length + count > this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#wanted, Math.max(2 * this.#bytes.length, this.#length + count)))
      larger.set(this.bytes)
      this.#bytes = larger
    }
    this.#bytes.set(chunk.subarray(at, at + count), this.#length)
    this.#length += count
    return count
  }
}

type Step =
  | { readonly at: 'id' }
  | { readonly at: 'failure' }
  | { readonly at: 'next-row-id' }
  | { readonly at: 'prefix' }
  | { readonly at: 'metadata'; readonly base: number }
  | { readonly at: 'body'; readonly header: MessageHeader; readonly base: number }
  | { readonly at: 'done' }

/** Frames out of chunks cut anywhere. After `completed` or `failed` further bytes are ignored. Bytes that are no frame: `WireError`. */
export class FrameParser {
  readonly #subsplits: number
  readonly #maxBody: number
  readonly #schemas: SchemaMemo | undefined
  #step: Step = { at: 'id' }
  #collector = new Collector(4)
  #consumed = 0
  #frameAt = 0
  #stream = 0
  #nextRowId = 0n
  #frames: Frame[] = []

  constructor(limits: FrameLimits = {}) {
    this.#subsplits = limits.subsplits ?? MAX_SUBSPLITS
    this.#maxBody = limits.maxBody ?? 2 ** 31 - 1
    this.#schemas = limits.schemas
  }

  /** Whether the completed or failed marker has been read. */
  get done(): boolean {
    return this.#step.at === 'done'
  }

  /** The frames that `given` completes; their bodies are views over it where they lie in it whole. */
  push(given: Uint8Array): Frame[] {
    // What comes from a socket is a Buffer, whose `slice` does not copy.
    const chunk = new Uint8Array(given.buffer, given.byteOffset, given.byteLength)
    const view = new DataView(given.buffer, given.byteOffset, given.byteLength)
    let at = 0
    // A step may want nothing (a message without a body): it is taken at once, not with the next chunk.
    while (this.#step.at !== 'done' && (at < chunk.length || this.#collector.complete)) {
      const size = this.#step.at === 'id' && this.#collector.length === 0 ? this.#within(chunk, view, at) : 0
      if (size > 0) {
        at += size
        this.#consumed += size
        this.#frameAt = this.#consumed
        continue
      }
      const taken = this.#collector.take(chunk, at)
      at += taken
      this.#consumed += taken
      if (this.#collector.complete) this.#advance()
    }
    const frames = this.#frames
    this.#frames = []
    return frames
  }

  /** The end of the body: an error inside a frame. */
  end(): void {
    if (this.#step.at === 'done' || (this.#step.at === 'id' && this.#collector.length === 0)) return
    throw new WireError(
      'frame',
      this.#consumed,
      `the body ends inside a frame that began at byte ${this.#frameAt} (reading ${this.#step.at})`,
    )
  }

  /**
   * A frame of data, or a keep-alive, that lies whole in `chunk` from `at`: taken as it is, without a copy. Its size; 0 for everything else, which
   * goes piece by piece.
   */
  #within(chunk: Uint8Array, view: DataView, at: number): number {
    const left = chunk.length - at
    if (left < 4) return 0
    const stream = view.getUint32(at, true)
    const start = this.#consumed
    if (stream === KEEP_ALIVE) {
      this.#frames.push({ kind: 'keep-alive', offset: start })
      return 4
    }
    const metadataAt = at + DATA_HEAD + PREFIX
    if (stream >= this.#subsplits || metadataAt > chunk.length || view.getUint32(at + DATA_HEAD, true) !== CONTINUATION) return 0
    const length = view.getInt32(at + DATA_HEAD + 4, true)
    const bodyAt = metadataAt + length
    if (length < 0 || length % 8 !== 0 || bodyAt > chunk.length) return 0
    const nextRowId = view.getBigUint64(at + 4, true)
    if (length === 0) {
      this.#frames.push({ kind: 'data', offset: start, stream, nextRowId, message: { kind: 'end' } })
      return DATA_HEAD + PREFIX
    }
    const base = start + DATA_HEAD + PREFIX
    const metadata = chunk.subarray(metadataAt, bodyAt)
    const known = this.#schemas?.find(metadata)
    if (known) {
      this.#frames.push({ kind: 'data', offset: start, stream, nextRowId, message: { kind: 'schema', schema: known } })
      return bodyAt - at
    }
    const header = readHeader(metadata, base)
    const end = bodyAt + header.bodyLength
    if (end > chunk.length || header.bodyLength > this.#maxBody) return 0
    const message = messageOf(header, chunk.subarray(bodyAt, end), base + length)
    if (message.kind === 'schema' && header.bodyLength === 0) this.#schemas?.keep(metadata, message.schema)
    this.#frames.push({ kind: 'data', offset: start, stream, nextRowId, message })
    return end - at
  }

  #go(step: Step, size: number): void {
    this.#step = step
    this.#collector = new Collector(size)
  }

  #emit(frame: Frame, done = false): void {
    this.#frames.push(frame)
    this.#go(done ? { at: 'done' } : { at: 'id' }, 4)
    this.#frameAt = this.#consumed
  }

  #advance(): void {
    const { bytes } = this.#collector
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const start = this.#consumed - bytes.length
    const step = this.#step
    switch (step.at) {
      case 'id':
        this.#startFrame(view.getUint32(0, true))
        break
      case 'failure': {
        const [code, detail] = [view.getBigUint64(0, true), view.getUint32(8, true)]
        this.#emit({ kind: 'failed', offset: this.#frameAt, code, detail }, true)
        break
      }
      case 'next-row-id':
        this.#nextRowId = view.getBigUint64(0, true)
        this.#go({ at: 'prefix' }, 4)
        break
      case 'prefix': {
        const prefix = readPrefix(bytes, start)
        if (prefix.kind === 'need') this.#collector.want(prefix.need)
        else if (prefix.kind === 'end') this.#data({ kind: 'end' })
        else this.#go({ at: 'metadata', base: start + PREFIX }, prefix.length)
        break
      }
      case 'metadata': {
        const header = readHeader(bytes, step.base)
        if (header.bodyLength > this.#maxBody)
          throw new WireError('frame', start, `a message body of ${header.bodyLength} bytes, at most ${this.#maxBody} are read`)
        this.#go({ at: 'body', header, base: this.#consumed }, header.bodyLength)
        break
      }
      case 'body':
        this.#data(messageOf(step.header, bytes, step.base))
        break
      case 'done':
        break
      default:
        throw new Error(`unhandled ${step satisfies never}`)
    }
  }

  #startFrame(id: number): void {
    if (id === KEEP_ALIVE) this.#emit({ kind: 'keep-alive', offset: this.#frameAt })
    else if (id === COMPLETED) this.#emit({ kind: 'completed', offset: this.#frameAt }, true)
    else if (id === FAILED) this.#go({ at: 'failure' }, 12)
    else {
      if (id >= this.#subsplits) throw new WireError('frame', this.#frameAt, `stream ${id}, expected one of ${this.#subsplits} or a marker`)
      this.#stream = id
      this.#go({ at: 'next-row-id' }, 8)
    }
  }

  #data(message: Message): void {
    this.#emit({ kind: 'data', offset: this.#frameAt, stream: this.#stream, nextRowId: this.#nextRowId, message })
  }
}

const uint32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

export const encodeKeepAlive = (): Uint8Array => uint32(KEEP_ALIVE)
export const encodeCompleted = (): Uint8Array => uint32(COMPLETED)

export const encodeFailed = (code: bigint, detail = 0): Uint8Array => {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, FAILED, true)
  view.setBigUint64(4, code, true)
  view.setUint32(12, detail, true)
  return bytes
}

/** A data frame around one encapsulated message (`encodeSchemaMessage`, `encodeBatchMessage`, `encodeEnd`). */
export const encodeData = (stream: number, nextRowId: bigint, message: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(12 + message.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, stream, true)
  view.setBigUint64(4, nextRowId, true)
  bytes.set(message, 12)
  return bytes
}
