import { type TSchema, Type } from '@sinclair/typebox'
import { DeletionRequest } from '../../src/domain/deletion-request.ts'
import { TimeRangeText } from '../../src/domain/validate.ts'
import * as example from './examples.ts'
import type { Content, Examples, Header, RequestBody, Response } from './model.ts'
import { ErrorAnswer } from './schemas.ts'

const json = (schema: TSchema, value: unknown): Content => ({ 'application/json': { schema, example: value } })

export const body = (description: string, schema: TSchema, value: unknown): RequestBody => ({
  description,
  required: true,
  content: json(schema, value),
})

export const bodyWithExamples = (description: string, schema: TSchema, examples: Examples): RequestBody => ({
  description,
  required: true,
  content: { 'application/json': { schema, examples } },
})

export const answer = (description: string, schema: TSchema, value: unknown): Response => ({ description, content: json(schema, value) })
export const answerWithExamples = (description: string, schema: TSchema, examples: Examples): Response => ({
  description,
  content: { 'application/json': { schema, examples } },
})
export const empty = (description: string): Response => ({ description })
export const noContent = empty('Done.')

const header = (description: string, schema: TSchema, value: unknown): Header => ({ description, schema, example: value })

/** tams-behaviour.md Appendix A. */
export const sharedHeaders = {
  Link: header(
    'The URL of the next page, with `rel="next"`; absent on the last page.',
    Type.String(),
    `<https://tams.example.com/flows?limit=50&page=${example.PAGE_KEY}>; rel="next"`,
  ),
  'X-Paging-Limit': header('Most items on this page.', Type.Integer({ minimum: 1 }), 50),
  'X-Paging-NextKey': header('`page` of the next page; absent on the last one.', Type.String(), example.PAGE_KEY),
  'X-Paging-Count': header('Number of items on this page.', Type.Integer({ minimum: 0 }), 50),
  'X-Paging-Reverse-Order': header('Whether the order is turned round.', Type.Boolean(), false),
  'X-Paging-Timerange': header(
    'From the start of the earliest to the end of the latest segment on this page; `()` without any.',
    TimeRangeText,
    '[0:0_500:0)',
  ),
  Location: header(
    'URL of the delete request.',
    Type.String({ format: 'uri' }),
    `https://tams.example.com/flow-delete-requests/${example.REQUEST_ID}`,
  ),
} satisfies Record<string, Header>

const { Location, ...paging } = sharedHeaders
const { 'X-Paging-Timerange': _timerange, ...full } = paging
const { 'X-Paging-Count': _count, 'X-Paging-Reverse-Order': _order, ...short } = full

/** A page of a listing, with all headers of paging, without those of order and count (`short`), or with `X-Paging-Timerange`. */
export const listing = (kind: 'full' | 'short' | 'segments', description: string, schema: TSchema, items: unknown): Response => ({
  description,
  headers: { full, short, segments: paging }[kind],
  content: json(schema, items),
})

/** 201 with the URL of what was made. */
export const made = (description: string, schema: TSchema, value: unknown, path: string): Response => ({
  ...answer(description, schema, value),
  headers: { Location: header('URL of what was made.', Type.String({ format: 'uri' }), `https://tams.example.com${path}`) },
})

export const accepted: Response = {
  description: 'Accepted: hidden at once, worked off in the background. The delete request tells how far that has come.',
  headers: { Location },
  content: json(DeletionRequest, example.deletionRequest),
}

const failure = (description: string, type: string, summary: string): Response => ({
  description,
  content: json(ErrorAnswer, example.error(type, summary)),
})

/** The component's name and the answer, by status. */
const failures = {
  400: [
    'Invalid',
    failure(
      'The request is not valid. `summary` names the member, parameter or header at fault, and the reason.',
      'invalid',
      'timerange: "0-10" is not a time range such as [0:0_10:0)',
    ),
  ],
  401: [
    'Unauthorized',
    failure('This service asks for credentials, and these are missing or wrong.', 'unauthorized', 'Credentials are required'),
  ],
  403: [
    'Forbidden',
    failure(
      'The flow is read-only, or the credentials have no scope for this.',
      'read_only',
      `Flow ${example.VIDEO_ID} is read-only; PUT false to /flows/${example.VIDEO_ID}/read_only first`,
    ),
  ],
  404: [
    'NotFound',
    failure('What the path names does not exist, or is no valid name.', 'not_found', `Flow ${example.VIDEO_ID} was not found`),
  ],
  409: [
    'Conflict',
    failure(
      'It is there already, in use, or in a state that does not allow this: a media object, for example, that is uploaded already.',
      'conflict',
      'This media object cannot be uploaded (again): it is registered, or its allocation has ended',
    ),
  ],
  413: ['TooLarge', failure('The body is larger than this service takes.', 'too_large', 'body: is larger than 16777216 bytes')],
  415: [
    'UnsupportedMediaType',
    failure(
      'The body has another media type than `application/json`.',
      'unsupported_media_type',
      'content-type: "text/plain" is not application/json',
    ),
  ],
  416: [
    'RangeNotSatisfiable',
    failure(
      'No byte of the range is in the media object.',
      'range_not_satisfiable',
      'Range: bytes=9000000- cannot be answered from 5242880 bytes',
    ),
  ],
  422: [
    'Unprocessable',
    failure(
      'Understood, but it cannot be carried out as it stands: the SQL is refused or fails, or it needs more memory than it may use.',
      'unprocessable',
      'sql: Binder Error: Referenced column "labels" not found in FROM clause!',
    ),
  ],
  429: [
    'TooManyRequests',
    {
      ...failure(
        'Too many such requests in a minute, or too many failed attempts to log in from one address.',
        'too_many_requests',
        'At most 10 tests and replays of a webhook are done in a minute',
      ),
      headers: { 'Retry-After': header('Seconds to wait before the next try.', Type.Integer({ minimum: 0 }), 5) },
    },
  ],
  500: [
    'Internal',
    failure(
      "The service failed; its log has the details, under the answer's `X-Request-Id`.",
      'internal',
      'The request failed for a reason of the server; its log has the details',
    ),
  ],
  503: [
    'Unavailable',
    {
      ...failure('Something that the service depends on is away or busy.', 'unavailable', 'The store is busy; try again'),
      headers: { 'Retry-After': header('Seconds to wait before the next try.', Type.Integer({ minimum: 0 }), 5) },
    },
  ],
  504: ['Timeout', failure('It took longer than it may.', 'timeout', 'The query took longer than 30000 ms')],
  507: [
    'StorageFull',
    failure(
      'No room is left for uploads; reading goes on.',
      'storage_full',
      'The media store takes no more uploads: its disk is nearly full',
    ),
  ],
} as const satisfies Record<number, readonly [string, Response]>
type FailureStatus = keyof typeof failures

export const sharedFailures: Readonly<Record<string, Response>> = Object.fromEntries(Object.values(failures))

/** These statuses and no others. */
export const onlyFailing = (...statuses: readonly FailureStatus[]): Record<string, Response> =>
  Object.fromEntries(statuses.map((status) => [status, failures[status][1]]))
/** These, and what every operation may answer that reaches the store. */
export const failing = (...statuses: readonly FailureStatus[]): Record<string, Response> =>
  onlyFailing(...statuses, 401, 403, 429, 500, 503)
/** These, and what every operation may answer that reads a JSON body. */
export const failingWithBody = (...statuses: readonly FailureStatus[]): Record<string, Response> => failing(...statuses, 413, 415)
