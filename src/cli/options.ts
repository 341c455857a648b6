import { type Command, InvalidArgumentError, Option } from 'commander'
import { TimeRange } from '../core/time-range.ts'
import { timestampNs } from '../core/timestamp.ts'
import { isUuid } from '../core/uuid.ts'
import { SCOPES, type Scope } from '../domain/scope.ts'
import { parseDecimal } from './media/rational.ts'
import type { TagValues } from './tams-types.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8000'

/** `--url` and `--token` of every command that talks to a service: `ServiceFlags` of connection.ts. */
export const withUrl = (command: Command): Command =>
  command
    .option('--url <url>', 'endpoint of the TAMS service; name and password may be in it', parseUrl, DEFAULT_URL)
    .addOption(new Option('--token <token>', 'token of the service (other users of the machine can see it here)').env('TAMS_TOKEN'))

/** `--scope`, at least once; `scope: Scope[]` of the flags. */
export const withScopes = (command: Command): Command =>
  command.requiredOption('--scope <scope>', `what for: ${SCOPES.join(', ')}; repeat for more`, collectScope)

const collectScope = (text: string, scopes: readonly Scope[] = []): Scope[] => {
  const scope = SCOPES.find((each) => each === text)
  if (!scope) throw new InvalidArgumentError(`It has to be one of ${SCOPES.join(', ')}.`)
  return [...new Set([...scopes, scope])]
}

const parseUrl = (text: string): string => {
  if (URL.canParse(text) && /^https?:/.test(text)) return text
  throw new InvalidArgumentError('It has to be an http or https URL.')
}

export const parseCount = (text: string): number => {
  const value = /^\d{1,12}$/.test(text) ? Number(text) : 0
  if (value >= 1) return value
  throw new InvalidArgumentError('It has to be a whole number from 1.')
}

export const parseSeconds = (text: string): string => {
  if (parseDecimal(text)) return text
  throw new InvalidArgumentError('It has to be a number of seconds above 0, such as 2 or 1.92.')
}

export const parseId = (text: string): string => {
  if (isUuid(text)) return text
  throw new InvalidArgumentError('It has to be a lower-case UUID.')
}

export const parseStart = (text: string): bigint => {
  const ns = timestampNs(text)
  if (ns !== undefined) return ns
  throw new InvalidArgumentError('It has to be a timestamp such as 0:0 (seconds:nanoseconds).')
}

export const parseTimeRange = (text: string): string => {
  try {
    return TimeRange.parse(text).toString()
  } catch {
    throw new InvalidArgumentError('It has to be a time range such as [10:0_20:0).')
  }
}

/** Collects `--tag name=value`; a name given again makes a list. */
export const collectTag = (text: string, tags: TagValues = {}): TagValues => {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It has to be name=value.')
  const [name, value] = [text.slice(0, at), text.slice(at + 1)]
  const before = tags[name]
  return { ...tags, [name]: before === undefined ? value : [before, value].flat() }
}
