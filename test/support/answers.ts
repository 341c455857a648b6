import { operations } from '../../api/openapi/operations.ts'
import { validate } from './schemas.ts'
import { commonErrors, routeOf } from './specification.ts'

/** One answer of the service, its body read. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
}

export type Json = Readonly<Record<string, unknown>>

/** The body as an object, for reading its members. */
export const object = (answer: Answer): Json => {
  if (typeof answer.body !== 'object' || answer.body === null || Array.isArray(answer.body))
    throw new Error(`no JSON object in the body: ${answer.text.slice(0, 500)}`)
  return { ...answer.body }
}

export const list = (answer: Answer): Json[] => {
  if (!Array.isArray(answer.body)) throw new Error(`no JSON array in the body (status ${answer.status}): ${answer.text.slice(0, 500)}`)
  return answer.body
}

export const readAnswer = async (response: Response): Promise<Answer> => {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
  return { status: response.status, headers: response.headers, text, body: isJson && text !== '' ? JSON.parse(text) : undefined }
}

/**
 * What every answer has to keep to, whatever the test is about: documented status, schema of the specification, content type,
 * no body with 204, error bodies with `message`, times to the second, paging headers. Throws otherwise.
 */
export const checkAnswer = (method: string, pathname: string, answer: Answer): void => {
  const route = routeOf(pathname)
  if (!route) return
  const where = `${method} ${pathname} → ${answer.status}`
  const verb = method === 'HEAD' ? 'GET' : method
  const specified = new Map(Object.entries(route.operations)).get(verb)
  const errors = new Map(Object.entries(route.errors)).get(verb) ?? []
  if (answer.status >= 400) {
    if (answer.status >= 500 && answer.status !== 507) throw new Error(`${where}: ${answer.text.slice(0, 1000)}`)
    if (specified && !errors.includes(answer.status) && !commonErrors.includes(answer.status))
      throw new Error(`${where}: this status is not documented for the operation: ${answer.text.slice(0, 500)}`)
    if (method !== 'HEAD') checkError(where, answer)
    return
  }
  if (method === 'OPTIONS') return
  const expected = specified?.[answer.status]
  if (!expected && extensionStatuses(verb, pathname).includes(answer.status)) {
    if (answer.text !== '') checkContentType(where, answer)
    checkTimes(where, answer.body)
    return
  }
  if (!expected) throw new Error(`${where}: this status is not documented for the operation`)
  if (method === 'HEAD') return
  if (expected === 'empty') {
    if (answer.text !== '') throw new Error(`${where}: a body where none may be: ${answer.text.slice(0, 200)}`)
    return
  }
  if (answer.text !== '' || expected !== 'undefined') checkContentType(where, answer)
  if (expected !== 'undefined') validate(expected, answer.body)
  checkTimes(where, answer.body)
  if (route.paging && verb === 'GET') checkPaging(where, answer, route.paging)
}

/** Statuses that our own document has for an operation which the specification does not know. */
const extensionStatuses = (method: string, pathname: string): number[] =>
  Object.values(operations)
    .filter((operation) => operation.extension && operation.method.toUpperCase() === method)
    .filter(({ path }) => new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`).test(pathname))
    .flatMap(({ responses }) => Object.keys(responses).map(Number))

const checkContentType = (where: string, answer: Answer): void => {
  const type = answer.headers.get('content-type')
  if (type !== 'application/json') throw new Error(`${where}: Content-Type is ${type}, not exactly application/json`)
}

const checkError = (where: string, answer: Answer): void => {
  checkContentType(where, answer)
  validate('error', answer.body)
  const { summary, message, type } = object(answer)
  if (typeof summary !== 'string' || summary === '') throw new Error(`${where}: no summary in ${answer.text}`)
  if (typeof type !== 'string' || type === '') throw new Error(`${where}: no type in ${answer.text}`)
  if (message !== summary) throw new Error(`${where}: message is not the summary: ${answer.text}`)
  if (/\bat .*\.ts:\d+/.test(answer.text)) throw new Error(`${where}: a stack trace in the body: ${answer.text}`)
}

const secondMembers = new Set(['created', 'updated', 'metadata_updated', 'segments_updated'])

/** Published clients parse these times only as `YYYY-MM-DDTHH:MM:SSZ`. */
const checkTimes = (where: string, value: unknown): void => {
  if (Array.isArray(value)) for (const item of value) checkTimes(where, item)
  else if (typeof value === 'object' && value !== null)
    for (const [name, member] of Object.entries(value)) {
      if (name === 'tags') continue
      if (secondMembers.has(name) && typeof member === 'string' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(member))
        throw new Error(`${where}: ${name} is ${member}, not of the form YYYY-MM-DDTHH:MM:SSZ`)
      checkTimes(where, member)
    }
}

const checkPaging = (where: string, answer: Answer, kind: 'full' | 'short' | 'segments'): void => {
  const header = (name: string) => answer.headers.get(name)
  const wrong = (what: string) => new Error(`${where}: ${what} in ${JSON.stringify(Object.fromEntries(answer.headers))}`)
  if (!/^[1-9]\d*$/.test(header('x-paging-limit') ?? '')) throw wrong('no X-Paging-Limit')
  if ((header('link') === null) !== (header('x-paging-nextkey') === null)) throw wrong('Link and X-Paging-NextKey do not go together')
  const link = header('link')
  if (link !== null) {
    const url = /^<([^<>\s]+)>; rel="next"$/.exec(link)?.[1]
    if (!url || !URL.canParse(url)) throw wrong('Link is not one absolute URL with rel="next"')
    if (/[,;]/.test(url)) throw wrong('a raw comma or semicolon in the URL of Link')
    if (new URL(url).searchParams.get('page') !== header('x-paging-nextkey')) throw wrong('Link has another page key than X-Paging-NextKey')
  }
  if (kind === 'short') return
  if (header('x-paging-count') !== String(list(answer).length)) throw wrong('X-Paging-Count is not the number of items')
  if (!/^(true|false)$/.test(header('x-paging-reverse-order') ?? '')) throw wrong('no X-Paging-Reverse-Order')
  if (list(answer).length > Number(header('x-paging-limit'))) throw wrong('more items than X-Paging-Limit')
  if (kind === 'segments') {
    const timerange = header('x-paging-timerange')
    if (timerange === null) throw wrong('no X-Paging-Timerange')
    validate('timerange', timerange)
  }
}

const ownHeaders = new Set([
  'x-request-id',
  'date',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'vary',
])

/** HEAD answers with the status and headers of GET and without a body (with an error, it is the socket that leaves the body out). */
export const checkHead = (pathname: string, get: Answer, head: Answer): void => {
  const comparable = (answer: Answer) =>
    JSON.stringify([...answer.headers].filter(([name]) => !ownHeaders.has(name)).sort(([a], [b]) => (a < b ? -1 : 1)))
  if (head.text !== '' && head.status < 400) throw new Error(`HEAD ${pathname} has a body`)
  if (head.status !== get.status) throw new Error(`HEAD ${pathname} answers ${head.status}, GET ${get.status}`)
  if (comparable(head) !== comparable(get)) throw new Error(`HEAD ${pathname} has headers ${comparable(head)}, GET ${comparable(get)}`)
}
