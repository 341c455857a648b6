/**
 * Ids of objects as 128-bit keys: what is joined, grouped and compared a million times is a number, and text is made only of what is
 * shown. 32 hexadecimal digits (ids that this service allocates) and lower-case UUIDs are their own bits, the latter with its halves
 * swapped, so that both can be told from the key; any other text is its MD5. Two different ids of one store get the same key with a
 * probability of about 2^-128 for each pair.
 */
export type KeyForm = 'hex' | 'uuid' | 'other'

/** The column of keys that comes with one of ids of objects. */
export const OBJECT_KEY = 'object'

/** Four 32-bit words for each text, as DuckDB lays out a UUID. */
export const WORDS = 4

const INVALID = 0x80
const NIBBLES = new Uint8Array(256).fill(INVALID)
for (const [value, digit] of [...'0123456789abcdef'].entries()) NIBBLES[digit.charCodeAt(0)] = value

const DASH = 45
const HEX_LENGTH = 32
const UUID_LENGTH = 36
const TOP_BIT = 0x8000_0000

/** Writes the key of the UTF-8 text at `bytes[from, to)` to `words[at…]` and gives the text's form. */
export const writeKey = (bytes: Uint8Array, from: number, to: number, words: Int32Array, at: number): KeyForm => {
  if (to - from === HEX_LENGTH && hexWords(bytes, from, 0, words, at)) return 'hex'
  if (
    to - from === UUID_LENGTH &&
    bytes[from + 8] === DASH &&
    bytes[from + 13] === DASH &&
    bytes[from + 18] === DASH &&
    bytes[from + 23] === DASH &&
    hexWords(bytes, from, 1, words, at)
  ) {
    swapHalves(words, at)
    return 'uuid'
  }
  const digest = new Bun.CryptoHasher('md5').update(bytes.subarray(from, to)).digest('hex')
  hexWords(encoder.encode(digest), 0, 0, words, at)
  return 'other'
}

const encoder = new TextEncoder()

// Memory of a UUID in DuckDB: a 128-bit integer, low half first, whose top bit is turned round.
const hexWords = (bytes: Uint8Array, from: number, dashes: 0 | 1, words: Int32Array, at: number): boolean => {
  let seen = 0
  let i = from
  for (let word = 0; word < WORDS; word++) {
    let value = 0
    for (let half = 0; half < 2; half++) {
      // Dashes stand behind the digits 8, 12, 16 and 20: before each half word from the third to the sixth.
      const pair = word * 2 + half
      if (dashes === 1 && pair >= 2 && pair <= 5) i++
      const a = NIBBLES[bytes[i] as number] as number
      const b = NIBBLES[bytes[i + 1] as number] as number
      const c = NIBBLES[bytes[i + 2] as number] as number
      const d = NIBBLES[bytes[i + 3] as number] as number
      seen |= a | b | c | d
      value = (value << 16) | (a << 12) | (b << 8) | (c << 4) | d
      i += 4
    }
    words[at + WORDS - 1 - word] = word === 0 ? value ^ TOP_BIT : value
  }
  return (seen & INVALID) === 0
}

const swapHalves = (words: Int32Array, at: number): void => {
  const [low0, low1, high0, high1] = words.subarray(at, at + WORDS) as unknown as [number, number, number, number]
  words[at] = high0
  words[at + 1] = high1 ^ TOP_BIT
  words[at + 2] = low0
  words[at + 3] = low1 ^ TOP_BIT
}

/**
 * Columns of a view for the key and the text `column`, where `text` is the text of a key that cannot be told from it, and null of the
 * others.
 */
export const keyColumnsSql = (form: KeyForm, key: string, text: string | undefined, column: string): readonly string[] => {
  const own = keyTextSql(form, key)
  return [
    key,
    `${text === undefined ? own : `coalesce(${text}, ${own})`} as ${column}`,
    `${text ?? 'null::varchar'} as ${OBJECT_KEY}_text`,
    `'${form}' as ${OBJECT_KEY}_form`,
  ]
}

/**
 * SQL for the id behind the key of a row `alias` of such a view. The view's own column of ids is made of all its rows, before a join or
 * a group by: where few are left after those, this is faster.
 */
export const objectIdSql = (alias: string): string => {
  const key = `${alias}.${OBJECT_KEY}`
  return `coalesce(${key}_text, case ${key}_form when 'uuid' then ${keyTextSql('uuid', key)} else ${keyTextSql('hex', key)} end)`
}

/** SQL for the text of a key of this form. */
const keyTextSql = (form: KeyForm, key: string): string => {
  // Twice as fast as taking the dashes away.
  const digits = `lower(hex(${key}::blob))`
  if (form !== 'uuid') return digits
  const part = (start: number, length: number) => `substr(${digits}, ${start}, ${length})`
  return [part(17, 8), part(25, 4), part(29, 4), part(1, 4), part(5, 12)].join(" || '-' || ")
}
