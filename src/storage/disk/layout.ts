import { createHash } from 'node:crypto'
import { invalid } from '../../core/errors.ts'

/**
 * Where an object lives below the root: `{prefix}/{yyyy}/{mm}/{dd}/{object id}` with one directory for the prefix, so that the
 * dates stay readable, and `~other/{key}` for a key of another form. Every name is made of `[a-z0-9_.-]` and `%xx`: it cannot
 * leave the root, and two keys never share a name on a file system that ignores case or normalises Unicode.
 *
 * Names with `~` are ours, because a key never gives one: `~tmp` (uploads in progress), `~` (no prefix), `~other`, `~{sha256}`
 * (an id whose name would be too long) and `{name}~meta` (the sidecar of `name`).
 */
export interface Location {
  /** Relative to the root. */
  readonly directory: string
  readonly name: string
}

export const TEMPORARY = '~tmp'
export const NO_PREFIX = '~'
export const OTHER = '~other'
export const SIDECAR_SUFFIX = '~meta'

/** File systems allow 255 bytes; the rest is for the sidecar's suffix. */
const LONGEST_NAME = 200
const LONGEST_PREFIX = 120

// Lazy throughout: the first date counts, so that all keys that begin with the text of one date directory are in it.
const dated = /^(?:(.+?)\/)??(\d{4}\/\d{2}\/\d{2})\/(.+)$/s

/** Throws `invalid` for a key that is empty or not well-formed Unicode. */
export const locate = (key: string): Location => {
  if (key === '' || !key.isWellFormed()) throw invalid('key', 'is empty or not well-formed Unicode')
  const [, prefix, date, id] = dated.exec(key) ?? []
  if (date !== undefined && id !== undefined) {
    const top = prefix === undefined ? NO_PREFIX : encodeName(prefix)
    if (top.length <= LONGEST_PREFIX) return { directory: `${top}/${date}`, name: shortName(id) }
  }
  return { directory: OTHER, name: shortName(key) }
}

const shortName = (text: string): string => {
  const name = encodeName(text)
  return name.length <= LONGEST_NAME ? name : `~${createHash('sha256').update(text).digest('hex')}`
}

/** Whether the name does not tell the id, which then only the sidecar knows. */
export const isHashed = (name: string): boolean => name.startsWith('~')

const plainName = /^[a-z0-9_-](?:[a-z0-9_.-]*[a-z0-9_-])?$/
const plainByte = /[a-z0-9_-]/

export const encodeName = (text: string): string => {
  if (plainName.test(text)) return text
  const bytes = Buffer.from(text, 'utf8')
  let name = ''
  for (const [index, byte] of bytes.entries()) {
    const character = String.fromCharCode(byte)
    const inside = index > 0 && index < bytes.length - 1
    name += plainByte.test(character) || (character === '.' && inside) ? character : `%${byte.toString(16).padStart(2, '0')}`
  }
  return name
}

/** undefined for a name that `encodeName` does not make: somebody else's file. */
export const decodeName = (name: string): string | undefined => {
  try {
    const text = decodeURIComponent(name)
    return text !== '' && encodeName(text) === name ? text : undefined
  } catch {
    return undefined
  }
}
