const CENSORED = '***'
const MAX_DEPTH = 8

const secretNames = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api_key_value',
  'access_token',
  'refresh_token',
  'id_token',
  'token',
  'password',
  'secret',
  'signing_secret',
  'client_secret',
  'secretkey',
  'secret_key',
  'secretaccesskey',
  'accesskey',
  'accesskeyid',
])

// Parameters that make a URL a credential: our own, Signature Version 4 and 2, and those of other clouds.
const secretParameter =
  /([?&;](?:access_token|token|sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|x-goog-credential|awsaccesskeyid)=)[^&;#\s"'<>\\]*/gi
const secretScheme = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi
const userInfo = /(\w+:\/\/)[^\s/?#@"']+@/g

/** The text without credentials in URLs and authorization headers. */
export const redactText = (text: string): string =>
  text.replace(secretParameter, `$1${CENSORED}`).replace(secretScheme, `$1 ${CENSORED}`).replace(userInfo, `$1${CENSORED}@`)

/** A copy that can be printed as JSON: secrets by name and in texts are gone, errors are plain, 64-bit integers are text. */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth === MAX_DEPTH) return '[deeper]'
  if (value instanceof Error) return redactError(value, depth)
  if (value instanceof Date || value instanceof URL) return redactText(JSON.stringify(value).slice(1, -1))
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1))
  return redactMembers(value instanceof Headers || value instanceof Map ? Object.fromEntries(value) : value, depth)
}

export const redactMembers = (members: object, depth = 0): Record<string, unknown> => {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(members)) {
    result[name] = secretNames.has(name.toLowerCase()) && value !== undefined ? CENSORED : redact(value, depth + 1)
  }
  return result
}

const redactError = (error: Error, depth: number): Record<string, unknown> => ({
  type: error.name,
  message: redactText(error.message),
  ...redactMembers(error, depth),
  ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  stack: redactText(error.stack ?? ''),
})
