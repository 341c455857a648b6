// Nothing to escape, and no segment that a URL parser would touch.
const plainPath = /^(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*\/)*[A-Za-z0-9_~-][A-Za-z0-9_.~-]*$/
// A segment that is empty, `.` or `..`.
const oddSegment = /(?:^|\/)\.{0,2}(?:\/|$)/

/**
 * The key as the end of a URL path, its leading separator included: `/tams/2026/11/21/…`. URL parsers resolve `.` and `..` even
 * when they are escaped, and proxies merge empty segments; a `/` beside such a segment is therefore written `%2F`, which no
 * parser takes for a separator. Decoding the whole gives the key back.
 */
export const keyToUrlPath = (key: string): string => {
  if (plainPath.test(key)) return `/${key}`
  if (!oddSegment.test(key)) return `/${escapeText(key).replaceAll('%2F', '/')}`
  const segments = key.split('/')
  // A key that is one dot segment has no slash of its own to hide it: the separator in front is escaped instead.
  let path = segments.length === 1 ? '%2F' : '/'
  for (const [index, segment] of segments.entries()) {
    if (index > 0) path += isOrdinary(segment) && isOrdinary(segments[index - 1] ?? '') ? '/' : '%2F'
    path += escapeText(segment)
  }
  return path
}

const isOrdinary = (segment: string): boolean => segment !== '' && segment !== '.' && segment !== '..'

const escapeText = (text: string): string => {
  const escaped = encodeURIComponent(text)
  return /[!'()*]/.test(escaped) ? escaped.replace(/[!'()*]/g, escapeCharacter) : escaped
}

const escapeCharacter = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
