// Values in `tabular-*` headers: the same rules for requests and answers.
import { WireError } from './wire-error.ts'

/** Header names in lower case, as Node gives them. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

export const headerText = (headers: Headers, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' || value === undefined ? value : value[0]
}

/** An unsigned decimal integer. */
export const headerInteger = (headers: Headers, name: string): bigint | undefined => {
  const text = headerText(headers, name)
  if (text === undefined) return undefined
  if (!/^\d{1,20}$/.test(text)) throw new WireError(`header ${name}`, 0, `expected an unsigned integer, found ${JSON.stringify(text)}`)
  return BigInt(text)
}

/** The Python client writes `True`, the JVM clients `true`. */
export const headerFlag = (headers: Headers, name: string): boolean => headerText(headers, name)?.toLowerCase() === 'true'

export const requiredInteger = (headers: Headers, name: string): bigint => {
  const value = headerInteger(headers, name)
  if (value === undefined) throw new WireError(`header ${name}`, 0, 'is missing')
  return value
}
