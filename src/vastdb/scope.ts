import type { Answer, Call, Connection } from './connection.ts'
import { ProtocolError } from './errors.ts'
import type { ServerVersion } from './version.ts'
import { decodePageAnswer, encodePageRequest, type PageAnswer, type PageRequest } from './wire/paging.ts'
import type { Target } from './wire/target.ts'
import { WireError } from './wire/wire-error.ts'

/** Where operations run: a bucket (or a snapshot of it) seen through a transaction, or through none. */
export interface Scope {
  readonly connection: Connection
  readonly version: ServerVersion
  readonly bucket: string
  /** 0: each request stands alone. */
  readonly txid: bigint
  /** Throws when the transaction is over. */
  readonly check: () => void
}

export interface Operation extends Omit<Target, 'bucket'> {
  readonly method: Call['method']
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
}

/** The call of an operation, with the transaction's header. */
export const callOf = (scope: Scope, { method, headers, body, signal, ...target }: Operation): Call => {
  scope.check()
  return { method, target: { bucket: scope.bucket, ...target }, headers: { 'tabular-txid': String(scope.txid), ...headers }, body, signal }
}

export const run = (scope: Scope, operation: Operation): Promise<Answer> => scope.connection.call(callOf(scope, operation))

/** Reads an answer; bytes that are not what they should be become a `ProtocolError`. */
export const reading = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause
    throw new ProtocolError(`${what}: ${cause.message}`, { operation: what, cause })
  }
}

/** All pages of a listing. */
export async function* pages<T>(
  scope: Scope,
  operation: Operation,
  request: Omit<PageRequest, 'nextKey'>,
  decode: (body: Uint8Array) => T,
): AsyncGenerator<T & { readonly page: PageAnswer }> {
  const what = `listing ${operation.command}`
  let nextKey = 0n
  for (;;) {
    const answer = await run(scope, { ...operation, headers: { ...operation.headers, ...encodePageRequest({ ...request, nextKey }) } })
    const result = reading(what, () => ({ ...decode(answer.body), page: decodePageAnswer(answer.headers) }))
    yield result
    const { page } = result
    if (!page.truncated) return
    if (page.nextKey === nextKey) throw new ProtocolError(`${what}: the page after ${nextKey} begins at ${nextKey} again`)
    nextKey = page.nextKey
  }
}
