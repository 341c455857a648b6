import { type Static, Type } from '@sinclair/typebox'
import { invalid } from '../core/errors.ts'
import { TimeRange } from '../core/time-range.ts'
import { parseTimestamp } from '../core/timestamp.ts'
import { quote } from '../core/uuid.ts'
import type { Tags } from './storage-backend.ts'
import { AnyInteger, checker, TagSet, TimeRangeText, TimestampText } from './validate.ts'

/** `.` and `..` could be registered and never be reached: HTTP libraries resolve them in paths. */
export const ObjectId = Type.String({
  maxLength: 1024,
  pattern: '^(?!\\.{1,2}$)[^]+$',
  title: 'an object id of 1 to 1024 characters other than . and ..',
})
export const Url = Type.String({ minLength: 1, maxLength: 16384, title: 'a URL' })
export const UrlLabel = Type.String({ minLength: 1, maxLength: 1024, title: 'a label of 1 to 1024 characters' })

/** Places of one object besides our own. */
export const MAX_URLS = 100

/** One segment of a POST body (tams-behaviour.md 6.2). */
export const SegmentPost = Type.Object(
  {
    object_id: ObjectId,
    timerange: TimeRangeText,
    ts_offset: Type.Optional(TimestampText),
    object_timerange: Type.Optional(TimeRangeText),
    init_object_id: Type.Optional(ObjectId),
    last_duration: Type.Optional(TimestampText),
    sample_offset: Type.Optional(AnyInteger),
    sample_count: Type.Optional(AnyInteger),
    key_frame_count: Type.Optional(AnyInteger),
    get_urls: Type.Optional(
      Type.Array(Type.Object({ url: Url, label: UrlLabel }), {
        maxItems: MAX_URLS,
        title: `a list of at most ${MAX_URLS} URLs with labels`,
      }),
    ),
  },
  { title: 'a segment', examples: [{ object_id: 'tams-0b6f', timerange: '[0:0_10:0)' }] },
)
/** An extension, in requests and answers alike. */
export const SegmentTags = Type.Object({ tags: Type.Optional(TagSet) })
export const SegmentPosts = Type.Array(SegmentPost, { title: 'a list of segments' })
export type SegmentPost = Static<typeof SegmentPost>

const checks = {
  standard: checker(SegmentPost),
  extended: checker(Type.Composite([SegmentPost, SegmentTags], { title: 'a segment' })),
} as const
/** `standard`: without the extensions, whose members are ignored. */
export type SegmentForm = keyof typeof checks

/** A segment of a request with its times as values. */
export interface NewSegment {
  readonly post: SegmentPost
  readonly range: TimeRange
  readonly startNs: bigint
  readonly endNs: bigint
  readonly offsetNs: bigint
  /** On the object's own timeline; undefined where the request does not say. */
  readonly objectRange: TimeRange | undefined
  /** Absent: none. */
  readonly tags?: Tags
}

/** A bounded stretch with an inclusive start. Throws `invalid`. */
export const parseMediaRange = (text: string, field: string): TimeRange & { readonly startNs: bigint; readonly endNs: bigint } => {
  const range = TimeRange.parseStrict(text, field)
  if (range.isEmpty) throw invalid(field, `${quote(text)} is empty`)
  const { startNs, endNs } = range
  if (startNs === undefined || endNs === undefined) throw invalid(field, `${quote(text)} has no ${startNs === undefined ? 'start' : 'end'}`)
  if (range.startExclusive) throw invalid(field, `${quote(text)} has an exclusive start; the start of media is inclusive`)
  return range as TimeRange & { readonly startNs: bigint; readonly endNs: bigint }
}

/** Throws `invalid`; `at` is the place in the body: empty, or `[3]`. */
export const parseSegmentPost = (value: unknown, at: string, form: SegmentForm): NewSegment => {
  const field = (name: string) => (at ? `${at}.${name}` : name)
  let post: SegmentPost & { readonly tags?: Tags }
  try {
    post = checks[form](value, at || 'body')
  } catch (error) {
    throw at && error instanceof Error ? invalid(at, error.message.replace(`${at}: `, ''), error) : error
  }
  const range = parseMediaRange(post.timerange, field('timerange'))
  const offsetNs = post.ts_offset === undefined ? 0n : parseTimestamp(post.ts_offset, field('ts_offset'))
  if (post.last_duration !== undefined && parseTimestamp(post.last_duration, field('last_duration')) < 0n)
    throw invalid(field('last_duration'), `${quote(post.last_duration)} is negative`)
  const objectRange = post.object_timerange === undefined ? undefined : parseMediaRange(post.object_timerange, field('object_timerange'))
  const labels = (post.get_urls ?? []).map((item) => item.label)
  const twice = labels.find((label, index) => labels.indexOf(label) !== index)
  if (twice !== undefined) throw invalid(field('get_urls'), `the label ${quote(twice)} is there twice`)
  const tags = form === 'extended' && Object.keys(post.tags ?? {}).length > 0 ? { tags: post.tags ?? {} } : {}
  return { post, range, startNs: range.startNs, endNs: range.endNs, offsetNs, objectRange, ...tags }
}
