import { isIP } from 'node:net'
import { timestampNs } from '../core/timestamp.ts'
import { isUuid } from '../core/uuid.ts'

/** Reads one variable's text; undefined means it is not what `expected` says. */
export interface Parser<T> {
  readonly expected: string
  readonly parse: (text: string) => T | undefined
}

export interface RateLimit {
  readonly requests: number
  readonly perSeconds: number
}

const control = /\p{Cc}/u

export const text: Parser<string> = {
  expected: 'a text without line breaks or other control characters',
  parse: (text) => (text.trim() === '' || control.test(text) ? undefined : text),
}

export const word: Parser<string> = {
  expected: 'a text without blanks',
  parse: (text) => (/\s/.test(text) || control.test(text) ? undefined : text),
}

export const key: Parser<string> = {
  expected: 'at least 32 characters without blanks',
  parse: (text) => (text.length < 32 ? undefined : word.parse(text)),
}

export const boolean: Parser<boolean> = {
  expected: 'true or false',
  parse: (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : undefined),
}

export const oneOf = <const T extends string>(...options: readonly T[]): Parser<T> => ({
  expected: `one of ${options.join(', ')}`,
  parse: (text) => options.find((option) => option === text),
})

export const integer = (min: number, max: number): Parser<number> => ({
  expected: `an integer from ${min} to ${max}`,
  parse: (text) => within(/^-?\d{1,15}$/.test(text) ? Number(text) : undefined, min, max),
})

const DURATION_MS = { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const YEARS_MS = 100 * 365 * DURATION_MS.d

/** Milliseconds. A plain number counts seconds. */
export const duration = (minMs: number, maxMs = YEARS_MS): Parser<number> => ({
  expected: `a duration such as 30s, 5m, 12h or 7d, from ${printDuration(minMs)} to ${printDuration(maxMs)}`,
  parse: (text) => {
    const match = /^(\d{1,12})(ms|s|m|h|d|)$/.exec(text)
    return within(match ? Number(match[1]) * DURATION_MS[match[2] as keyof typeof DURATION_MS] : undefined, minMs, maxMs)
  },
})

const printDuration = (ms: number): string => (ms % DURATION_MS.d === 0 && ms > 0 ? `${ms / DURATION_MS.d}d` : `${ms / 1000}s`)

const SIZE_BYTES = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const

/** Bytes. */
export const size = (minBytes: number): Parser<number> => ({
  expected: `a size such as 16 MiB, 1 GiB or a number of bytes, at least ${minBytes}`,
  parse: (text) => {
    const match = /^(\d{1,12}) ?(KiB|MiB|GiB|TiB|)$/.exec(text)
    return within(match ? Number(match[1]) * SIZE_BYTES[match[2] as keyof typeof SIZE_BYTES] : undefined, minBytes, Number.MAX_SAFE_INTEGER)
  },
})

/** Seconds, from a TAMS timestamp. */
export const timestamp = (minSeconds: number): Parser<number> => ({
  expected: `a duration as a TAMS timestamp such as 3600:0, at least ${minSeconds}:0`,
  parse: (text) => {
    const ns = timestampNs(text)
    return within(ns === undefined ? undefined : Number(ns) / 1e9, minSeconds, YEARS_MS / 1000)
  },
})

/** `requests` may come in `perSeconds`; null is no limit. */
export const rateLimit: Parser<RateLimit | null> = {
  expected: 'off, or requests per second, minute or hour of one client such as 100/s, 600/m or 5000/h',
  parse: (text) => {
    if (text === 'off') return null
    const match = /^([1-9]\d{0,8})\/([smh])$/.exec(text)
    return match ? { requests: Number(match[1]), perSeconds: DURATION_MS[match[2] as 's' | 'm' | 'h'] / 1000 } : undefined
  },
}

/** Without a slash at its end, so that paths can follow. */
export const url: Parser<string> = {
  expected: 'an http or https URL without credentials, query and fragment',
  parse: (text) => {
    const parsed = /^https?:\/\/[^\s,;]+$/i.test(text) ? URL.parse(text) : null
    if (!parsed || parsed.username || parsed.password || /[?#]/.test(text)) return undefined
    return parsed.href.replace(/\/+$/, '')
  },
}

/** As it is written: tokens repeat it letter by letter, and some have a slash at the end. */
export const issuer: Parser<string> = {
  expected: url.expected,
  parse: (text) => (url.parse(text) === undefined ? undefined : text),
}

/** A host name or address; IPv6 without brackets. */
export const host: Parser<string> = {
  expected: 'a host name or an IP address',
  parse: (text) => (isIP(text) || (isHostName(text) && !/^[\d.]+$/.test(text)) ? text.toLowerCase() : undefined),
}

const isHostName = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label))

/** `https://host`, or `host` where a setting of its own says which scheme. */
export const endpoint: Parser<string> = {
  expected: 'an http or https URL, or host and port without a scheme',
  parse: (text) => (text.includes('://') ? url.parse(text) : url.parse(`https://${text}`)?.slice('https://'.length)),
}

export const origins: Parser<'*' | readonly string[]> = {
  expected: '*, or origins such as https://player.example.com, separated by commas',
  parse: (text) => (text === '*' ? text : listOf(origin).parse(text)),
}

const origin: Parser<string> = {
  expected: 'an origin',
  parse: (text) => (url.parse(text) === URL.parse(text)?.origin ? url.parse(text) : undefined),
}

export const listOf = <T>(item: Parser<T>): Parser<readonly T[]> => ({
  expected: `${item.expected}; several are separated by commas`,
  parse: (text) => {
    const items: T[] = []
    for (const part of text.split(',')) {
      const value = item.parse(part.trim())
      if (value === undefined) return undefined
      items.push(value)
    }
    return items
  },
})

/** Begins with a slash and ends without one. */
export const basePath: Parser<string> = {
  expected: 'a path such as /x-tams/v8.2: segments of letters, digits and . _ ~ - behind a slash each',
  parse: (text) => (/^(\/[\w.~-]+)+$/.test(text) && !hasDotSegment(text) ? text : undefined),
}

export const path: Parser<string> = {
  expected: 'a path such as tams or media/tams: letters, digits and . _ - between slashes',
  parse: (text) => (/^[\w.-]+(\/[\w.-]+)*$/.test(text) && !hasDotSegment(text) ? text : undefined),
}

const hasDotSegment = (text: string): boolean => text.split('/').some((segment) => segment === '.' || segment === '..')

export const uuid: Parser<string> = {
  expected: 'a lower-case UUID (versions 1 to 5)',
  parse: (text) => (isUuid(text) ? text : undefined),
}

export const bucket: Parser<string> = {
  expected: 'a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens',
  parse: (text) => (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text) ? text : undefined),
}

const within = (value: number | undefined, min: number, max: number): number | undefined =>
  value !== undefined && value >= min && value <= max ? value : undefined
