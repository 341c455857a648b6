// HTTP: `node:http`, because a query is a GET with a body and `Bun.serve` drops that body silently.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { encodeFailed } from '../../../src/vastdb/wire/frames.ts'
import { headerInteger } from '../../../src/vastdb/wire/headers.ts'
import { decodeTarget, type Target } from '../../../src/vastdb/wire/target.ts'
import { WireError } from '../../../src/vastdb/wire/wire-error.ts'
import { encodeError } from '../../../src/vastdb/wire/xml.ts'
import { ADMIN, administer } from './admin.ts'
import type { Answer, ServerRules } from './exchange.ts'
import type { Fault, Faults } from './faults.ts'
import { badRequest, ProtocolError } from './protocol-error.ts'
import { handlerFor } from './routes.ts'
import { type Credentials, checkSignature } from './signature.ts'
import type { Transactions } from './transactions.ts'

/** Largest body of a request (vast-protocol section 6). */
const MAX_BODY = 5 * 1024 * 1024
/** A table of 64,000 columns is created with more than that. */
const MAX_SCHEMA_BODY = 32 * 1024 * 1024
/** Frames are put together to writes of at least this size. */
const WRITE_SIZE = 256 * 1024

export interface ServerOptions {
  readonly rules: ServerRules
  readonly credentials: Credentials | undefined
  readonly transactions: Transactions
  readonly faults: Faults
  readonly requests: Map<string, number>
  readonly nowMs: () => number
  /** What every request takes at least, from its arrival to its answer. */
  readonly latencyMs: number
  readonly onBug: (error: unknown) => void
}

const readBody = async (request: IncomingMessage): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  let size = 0
  // By events: what a stream sets up to be iterated takes longer than most requests.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (part: Uint8Array) => {
      size += part.length
      if (size <= MAX_SCHEMA_BODY) parts.push(part)
    })
    request.on('end', resolve)
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection closed inside a request')))
  })
  if (size > MAX_SCHEMA_BODY) throw badRequest(`a body of ${size} bytes`, 'EntityTooLarge')
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
}

const checkSize = (body: Uint8Array, target: Target): void => {
  const schema = target.command === 'table' || target.command === 'column'
  if (body.length > MAX_BODY && !schema) throw badRequest(`a body of ${body.length} bytes, at most ${MAX_BODY} are taken`, 'EntityTooLarge')
}

const never = new Int32Array(new SharedArrayBuffer(4))

/** To a part of a millisecond: `setTimeout` knows whole ones only, and one more would be half of what a request is to take. */
const wait = async (ms: number): Promise<void> => {
  await Atomics.waitAsync(never, 0, 0, ms).value
}

/** Signature, transaction, operation, commit. */
const handle = (options: ServerOptions, request: IncomingMessage, target: Target, body: Uint8Array): Answer => {
  const { method = 'GET', url = '/', headers } = request
  if (options.credentials !== undefined) checkSignature({ method, url, headers, body }, options.credentials, options.nowMs())
  checkSize(body, target)
  const { transactions, rules } = options
  const id = headerInteger(headers, 'tabular-txid') ?? 0n
  if (target.command === 'transaction') return transact(transactions, method, id)
  const handler = handlerFor(method, target.command, target.bucket)
  const transaction = id === 0n ? transactions.begin() : transactions.get(id)
  const exchange = { method, target, headers, body, rules, transactions, transaction }
  if (id !== 0n) return handler(exchange)
  try {
    const answer = handler(exchange)
    transactions.commit(transaction)
    return answer
  } finally {
    transactions.rollback(transaction)
  }
}

const transact = (transactions: Transactions, method: string, id: bigint): Answer => {
  if (method === 'POST') return { headers: { 'tabular-txid': String(transactions.begin().id) } }
  // Without an id it is the probe by which clients learn the version.
  if (method === 'GET' && id === 0n) return {}
  const transaction = transactions.get(id)
  if (method === 'PUT') transactions.commit(transaction)
  if (method === 'DELETE') transactions.rollback(transaction)
  return {}
}

const errorAnswer = (options: ServerOptions, error: unknown): ProtocolError => {
  if (error instanceof ProtocolError) return error
  // What cannot be read: UnsupportedTypeError carries the code that clients look for.
  if (error instanceof WireError)
    return badRequest(error.message, error.name === 'UnsupportedTypeError' ? 'TabularUnsupportedColumnType' : 'InvalidArgument')
  options.onBug(error)
  return new ProtocolError(500, 'InternalError', 'We encountered an internal error. Please try again.', { cause: error })
}

const sendError = (request: IncomingMessage, response: ServerResponse, error: ProtocolError, requestId: string): void => {
  const body = encodeError({ code: error.code, message: error.message, resource: request.url ?? '', requestId })
  response.writeHead(error.status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) })
  response.end(request.method === 'HEAD' ? undefined : body)
}

const withFault = (
  frames: readonly Uint8Array[],
  fault: Fault | undefined,
): { readonly frames: readonly Uint8Array[]; readonly cut: boolean } => {
  if (fault?.kind === 'failed-marker')
    return { frames: [...frames.slice(0, fault.frame), encodeFailed(BigInt(fault.code ?? 1))], cut: false }
  if (fault?.kind !== 'drop-at-frame') return { frames, cut: false }
  const inside = frames[fault.frame]?.subarray(0, fault.bytes ?? 0) ?? new Uint8Array(0)
  return { frames: [...frames.slice(0, fault.frame), inside], cut: true }
}

const flushed = (response: ServerResponse, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    if (bytes.length === 0) resolve()
    else response.write(bytes, () => resolve())
  })

const sendFrames = async (
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  all: readonly Uint8Array[],
  fault?: Fault,
): Promise<void> => {
  const { frames, cut } = withFault(all, fault)
  response.writeHead(200, { ...headers, 'content-type': 'application/octet-stream' })
  let pending: Uint8Array[] = []
  let size = 0
  for (const frame of frames) {
    pending.push(frame)
    size += frame.length
    if (size < WRITE_SIZE) continue
    await flushed(response, Buffer.concat(pending))
    pending = []
    size = 0
  }
  const rest = Buffer.concat(pending)
  if (!cut) {
    response.end(rest)
    return
  }
  await flushed(response, rest)
  response.socket?.destroy()
}

const serve = async (options: ServerOptions, request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> => {
  const arrived = performance.now()
  const due = (): Promise<void> | undefined => {
    const early = options.latencyMs - (performance.now() - arrived)
    return early > 0 ? wait(early) : undefined
  }
  response.setHeader('server', `vast ${options.rules.version}`)
  response.setHeader('x-amz-request-id', requestId)
  try {
    const body = await readBody(request)
    const { method = 'GET', url = '/' } = request
    if (url.startsWith(ADMIN)) {
      const answer = JSON.stringify(administer(options, method, url, body))
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
      return
    }
    const target = decodeTarget(method, url)
    const command = target.command ?? ''
    options.requests.set(`${method} ${command}`, (options.requests.get(`${method} ${command}`) ?? 0) + 1)
    const fault = options.faults.take({ method, command, path: url })
    if (fault?.kind === 'delay') await wait(fault.ms)
    if (fault?.kind === 'drop') return void request.socket.destroy()
    if (fault?.kind === 'slow-down') throw new ProtocolError(503, 'SlowDown', 'Please reduce your request rate.')
    if (fault?.kind === 'error') throw new ProtocolError(fault.status, fault.code, 'a fault that was asked for')
    const { headers = {}, body: content = new Uint8Array(0), frames } = handle(options, request, target, body)
    await due()
    if (fault?.kind === 'lost-answer') return void request.socket.destroy()
    if (frames !== undefined) return await sendFrames(response, headers, frames, fault)
    response.writeHead(200, { ...headers, 'content-length': content.length })
    response.end(content)
  } catch (error) {
    await due()
    if (response.headersSent) response.socket?.destroy()
    else sendError(request, response, errorAnswer(options, error), requestId)
  }
}

/** The server, not listening yet. */
export const emulatorServer = (options: ServerOptions): Server => {
  let count = 0
  return createServer((request, response) => {
    count += 1
    serve(options, request, response, String(count)).catch(options.onBug)
  })
}
