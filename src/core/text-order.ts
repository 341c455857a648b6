/**
 * The one comparison of text: by code point, as SQLite (UTF-8 bytes) and VAST do. JavaScript's `<` compares UTF-16 units and
 * differs above U+FFFF. Both texts must be well-formed.
 */
export const compareText = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1
  }
  return a.length - b.length
}

// A surrogate stands for a code point above every other UTF-16 unit, although its own number is below U+E000 to U+FFFF.
const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff

const encoder = new TextEncoder()
// Otherwise a leading U+FEFF would be taken for a byte order mark and lost.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The longest beginning of `text` of at most `limit` UTF-8 bytes that ends between two code points. */
export const prefixBytes = (text: string, limit: number): string => {
  if (text.length * 3 <= limit) return text
  const bytes = encoder.encode(text)
  if (bytes.length <= limit) return text
  let end = limit
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return decoder.decode(bytes.subarray(0, end))
}

/** Whether every surrogate in `text` has its partner: only such text may reach a table. */
export const isWellFormed = (text: string): boolean => text.isWellFormed()
