import { FormatRegistry, type Static, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler, type ValueError } from '@sinclair/typebox/compiler'
import { invalid, type TamsError } from '../core/errors.ts'
import { TIMERANGE_PATTERN } from '../core/time-range.ts'
import { TIMESTAMP_PATTERN } from '../core/timestamp.ts'
import { quote, UUID_PATTERN } from '../core/uuid.ts'

// Annotations for readers of the schemas: what they mean is checked where the value is parsed.
for (const format of ['date-time', 'uri']) if (!FormatRegistry.Has(format)) FormatRegistry.Set(format, () => true)

/** Integers of a body: JSON has no limit, a double is exact up to 2^53 − 1. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER

export const Uuid = Type.String({
  pattern: UUID_PATTERN,
  title: 'a lower-case UUID (versions 1 to 5)',
  examples: ['b3bb5be7-9fe9-4324-a5bb-4c70e1084449'],
})
export const TimestampText = Type.String({
  pattern: TIMESTAMP_PATTERN,
  title: 'a timestamp {sign?}{seconds}:{nanoseconds}',
  examples: ['10:40000000'],
})
export const TimeRangeText = Type.String({ pattern: TIMERANGE_PATTERN, title: 'a time range such as [0:0_10:0)', examples: ['[0:0_10:0)'] })
/** Looser than a MIME type, like the pattern of `flow-technical`; but it becomes a header, so it is printable ASCII. */
export const MediaType = Type.String({
  maxLength: 255,
  pattern: '^[!-.0-~]+/[!-.0-~]+$',
  title: 'a media type type/subtype',
  examples: ['video/mp2t'],
})
export const MIME_PATTERN =
  "^(application|audio|font|example|image|message|model|multipart|text|video|x-(?:[0-9A-Za-z!#$%&'*+.^_`|~-]+))/([0-9A-Za-z!#$%&'*+.^_`|~-]+)$"
export const MimeType = Type.String({
  maxLength: 255,
  pattern: MIME_PATTERN,
  title: 'a MIME type without parameters',
  examples: ['video/mp4'],
})
export const Count = Type.Integer({ minimum: 0, maximum: MAX_INTEGER, title: 'a whole number of at least 0' })
export const Positive = Type.Integer({ minimum: 1, maximum: MAX_INTEGER, title: 'a whole number above 0' })
export const AnyInteger = Type.Integer({ minimum: -MAX_INTEGER, maximum: MAX_INTEGER, title: 'a whole number' })
export const TagValue = Type.Union([Type.String(), Type.Array(Type.String())], { title: 'a string or a list of strings' })
export const TagSet = Type.Record(Type.String(), TagValue, {
  title: 'an object of tag names to strings or lists of strings',
  examples: [{ language: 'en' }],
})

export type Check<T> = (value: unknown, root?: string) => T

/** Compiles on first use. The check throws `invalid` with the first member that breaks the schema; `root` names the whole value. */
export const checker = <S extends TSchema>(schema: S): Check<Static<S>> => {
  let compiled: ReturnType<typeof TypeCompiler.Compile<S>> | undefined
  return (value, root = 'body') => {
    compiled ??= TypeCompiler.Compile(schema)
    if (compiled.Check(value)) return value
    throw firstError(compiled.Errors(value).First(), root)
  }
}

const firstError = (error: ValueError | undefined, root: string): TamsError => {
  if (!error) return invalid(root, 'does not match its schema')
  const path = error.path.split('/').slice(1).map(unescapePointer)
  const field =
    path.length === 0 ? root : path.reduce((text, part) => (/^\d+$/.test(part) ? `${text}[${part}]` : text ? `${text}.${part}` : part), '')
  if (error.value === undefined) return invalid(field, 'is required')
  const title: unknown = error.schema.title
  if (typeof title === 'string') return invalid(field, `${quote(error.value)} is not ${title}`)
  return invalid(field, `${quote(error.value)}: ${error.message.charAt(0).toLowerCase()}${error.message.slice(1)}`)
}

// JSON Pointer, RFC 6901 section 4.
const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')
