import { isDeepStrictEqual } from 'node:util'
import { invalid } from '../core/errors.ts'
import { quote } from '../core/uuid.ts'
import { isFormat, TECHNICAL_MEMBERS, Technical } from './flow-schema.ts'

const RATIONALS: ReadonlySet<string> = new Set(['frame_rate', 'aspect_ratio', 'pixel_aspect_ratio'])
const ALIASES: ReadonlyMap<string, string> = new Map([['bits_per_sample', 'bit_depth']])

/**
 * `POST /flows` also takes the members of `essence_parameters` at the top of the body, and rates and ratios as `"25/1"`. Gives the
 * body as the specification has it; what is no object or has no known format comes back as it is. Throws `invalid` for a member that
 * stands in both places with different values, and for one that flows of this format do not have.
 */
export const nestEssence = (body: unknown): unknown => {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const { format } = body as { readonly format?: unknown }
  if (!isFormat(format)) return body
  const names = essenceNames(format)
  // Maps, since a member may be called __proto__.
  const top = new Map<string, unknown>()
  const essence = new Map<string, unknown>()
  for (const [name, value] of Object.entries(body)) {
    const member = ALIASES.get(name) ?? name
    if (names.has(member)) {
      const nested = RATIONALS.has(member) ? rational(name, value) : value
      if (essence.has(member) && !isDeepStrictEqual(essence.get(member), nested))
        throw invalid(name, `differs from ${member}, its other name`)
      essence.set(member, nested)
    } else if (ALL_ESSENCE_NAMES.has(member)) throw invalid(name, `is no member of flows of format ${format}`)
    else top.set(name, value)
  }
  if (essence.size === 0) return body
  const given = top.get('essence_parameters') ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) return body
  for (const [name, value] of Object.entries(given)) {
    if (essence.has(name) && !isDeepStrictEqual(essence.get(name), value))
      throw invalid(name, `differs from essence_parameters.${name}, ${quote(value)}`)
    essence.set(name, value)
  }
  return Object.fromEntries([...top, ['essence_parameters', Object.fromEntries(essence)]])
}

const essenceNames = (format: keyof typeof Technical): ReadonlySet<string> => {
  const essence = Technical[format].properties.essence_parameters
  return new Set(Object.keys(essence.properties))
}

const ALL_ESSENCE_NAMES: ReadonlySet<string> = new Set(
  Object.values(Technical)
    .flatMap((technical) => Object.keys(technical.properties.essence_parameters.properties))
    .filter((name) => !(TECHNICAL_MEMBERS as readonly string[]).includes(name)),
)

const rational = (name: string, value: unknown): unknown => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { numerator: value, denominator: 1 }
  if (typeof value !== 'string') return value
  const match = /^([0-9]{1,9})(?:[/:]([0-9]{1,9}))?$/.exec(value)
  if (!match) throw invalid(name, `${quote(value)} is not a rate such as "25/1" or "30000/1001"`)
  return { numerator: Number(match[1]), denominator: Number(match[2] ?? 1) }
}
