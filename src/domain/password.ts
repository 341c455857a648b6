import { invalid } from '../core/errors.ts'

/** 19 MiB and two passes: the first recommendation of the OWASP password storage cheat sheet. */
const ARGON2 = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const

const MIN_LENGTH = 12
/** Code units; whoever guesses may not make the service hash megabytes. */
const MAX_LENGTH = 512

/** RFC 7617 2.1: clients that honour `charset="UTF-8"` send NFC, and people type either form. */
export const normalPassword = (password: string): string => password.normalize('NFC')

/** Throws `invalid` for one that is too short or too long. */
export const checkPassword = (password: string): void => {
  if (password.length < MIN_LENGTH || password.length > MAX_LENGTH)
    throw invalid('password', `has ${password.length} characters; it has to have ${MIN_LENGTH} to ${MAX_LENGTH}`)
}

/** Takes some 20 ms and 19 MiB, beside the event loop. */
export const hashPassword = (password: string): Promise<string> => Bun.password.hash(normalPassword(password), ARGON2)

/** Costs the same whether it matches or not. */
export const passwordMatches = async (password: string, hash: string): Promise<boolean> =>
  (await Bun.password.verify(normalPassword(password).slice(0, MAX_LENGTH + 1) || ' ', hash)) && password.length <= MAX_LENGTH
