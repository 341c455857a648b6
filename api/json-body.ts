import { invalid, TamsError } from '../src/core/errors.ts'
import { readBytes } from '../src/core/read-bytes.ts'
import { quote } from '../src/core/uuid.ts'

/** Deeper nesting means nothing here, and recursion over it could exhaust the stack. */
const MAX_DEPTH = 64

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The JSON of a request body; undefined for an empty one. Throws `too_large` above `limit` bytes, `unsupported_media_type`,
 * `invalid` for what is no UTF-8, no JSON, nested too deeply or ill-formed Unicode.
 */
export const readJson = async (request: Request, limit: number): Promise<unknown> => {
  const bytes = await readBytes(request, limit)
  if (bytes.byteLength === 0) return undefined
  const type = request.headers.get('content-type')
  if (type !== null && !/^\s*application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type))
    throw new TamsError('unsupported_media_type', `content-type: ${quote(type)} is not application/json`, { field: 'content-type' })
  const text = decodeText(bytes)
  if (depth(text) > MAX_DEPTH) throw invalid('body', `is nested more than ${MAX_DEPTH} levels deep`)
  const value = parse(text)
  if (/\\u[dD][89a-fA-F]/.test(text)) refuseLoneSurrogates(value)
  return value
}

/** Like `readJson`, where a body is required. */
export const requireJson = async (request: Request, limit: number): Promise<unknown> => {
  const value = await readJson(request, limit)
  if (value === undefined) throw invalid('body', 'is required')
  return value
}

/**
 * A body that is judged later: an unknown resource is 404 whatever the body (tams-behaviour.md 1.4), so what is wrong with it is
 * thrown when it is asked for.
 */
export const bodyOf = async (request: Request, limit: number, read = requireJson): Promise<() => unknown> => {
  try {
    const value = await read(request, limit)
    return () => value
  } catch (error) {
    return () => {
      throw error
    }
  }
}

const decodeText = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw invalid('body', 'is not UTF-8', cause)
  }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw invalid('body', `is not JSON: ${cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, '') : 'malformed'}`, cause)
  }
}

/** Of brackets outside of strings, whether they match or not. */
const depth = (text: string): number => {
  let now = 0
  let most = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) i = endOfString(text, i)
    else if (code === 0x5b || code === 0x7b) most = Math.max(most, ++now)
    else if (code === 0x5d || code === 0x7d) now--
  }
  return most
}

const endOfString = (text: string, start: number): number => {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end < 0 ? text.length : end
}

const isEscaped = (text: string, at: number): boolean => {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++
  return backslashes % 2 === 1
}

const refuseLoneSurrogates = (value: unknown, path = 'body'): void => {
  if (typeof value === 'string' && !value.isWellFormed()) throw invalid(path, 'is ill-formed Unicode (a surrogate without its partner)')
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    if (!name.isWellFormed()) throw invalid(path, 'has a member whose name is ill-formed Unicode')
    refuseLoneSurrogates(member, path === 'body' ? name : `${path}.${name}`)
  }
}
