import { createHmac, randomBytes } from 'node:crypto'

/** Signing secrets of a webhook: the present one, and for a day after a rotation the former one. */
export interface SigningSecrets {
  readonly current: string
  readonly previous?: { readonly secret: string; readonly untilUs: string }
}

const PREFIX = 'whsec_'
const ROTATION_US = 24n * 3600n * 1_000_000n

export const newSecret = (): string => PREFIX + randomBytes(32).toString('base64')

export const rotated = (secrets: SigningSecrets, nowUs: bigint): SigningSecrets => ({
  current: newSecret(),
  previous: { secret: secrets.current, untilUs: String(nowUs + ROTATION_US) },
})

/** `webhook-signature` of Standard Webhooks 1.0: HMAC-SHA-256 over id, timestamp (seconds) and body, one for each valid secret. */
export const signatures = (secrets: SigningSecrets, id: string, timestamp: string, body: string, nowUs: bigint): string => {
  const { current, previous } = secrets
  const valid = previous && BigInt(previous.untilUs) > nowUs ? [current, previous.secret] : [current]
  return valid.map((secret) => `v1,${sign(secret, `${id}.${timestamp}.${body}`)}`).join(' ')
}

const sign = (secret: string, text: string): string =>
  createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64'))
    .update(text)
    .digest('base64')
