import { invalid } from './errors.ts'

/** `uuid` schema (tams-behaviour.md 1.2): lower case, versions 1 to 5, RFC variant; the nil UUID does not match. */
export const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
const uuidRegExp = new RegExp(UUID_PATTERN)

export const isUuid = (text: unknown): text is string => typeof text === 'string' && text.length === 36 && uuidRegExp.test(text)

/** Throws `invalid`, naming `field`, unless `text` is a UUID of the specification. */
export const parseUuid = (text: unknown, field: string): string => {
  if (isUuid(text)) return text
  throw invalid(field, `${quote(text)} is not a lower-case UUID (versions 1 to 5)`)
}

export const quote = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
