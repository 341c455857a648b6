import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../src/core/clock.ts'
import { TamsError } from '../../src/core/errors.ts'
import type { UserRow } from '../../src/domain/credentials.ts'
import { hashPassword, normalPassword, passwordMatches } from '../../src/domain/password.ts'

/** How long a verified password is not verified again. */
const REMEMBER_MS = 5 * 60_000
const MAX_REMEMBERED = 1000
/** Each takes a thread and 19 MiB. */
const MAX_RUNNING = 2
const MAX_WAITING = 50

interface Remembered {
  readonly passwordHash: string
  readonly untilMs: number
}

/**
 * Passwords of users. Verifying one takes some 20 ms by design: right ones are remembered for a while, by a keyed hash that means nothing
 * outside of this process. For a name that nobody has, the hash of a password that nobody knows is verified, so that both take as long.
 */
export class Passwords {
  private readonly key = randomBytes(32)
  private readonly nobody = hashPassword(randomBytes(32).toString('base64url'))
  private readonly remembered = new Map<string, Remembered>()
  private readonly running = new Map<string, Promise<boolean>>()
  private readonly waiting: (() => void)[] = []
  private busy = 0

  constructor(private readonly clock: Clock) {}

  /** Whether this very password was verified lately and is still the user's. */
  isRemembered(user: UserRow | undefined, password: string): boolean {
    const found = user && this.remembered.get(this.digest(user.name, password))
    return found !== undefined && found.untilMs > this.nowMs() && sameText(found.passwordHash, user?.password_hash ?? '')
  }

  /**
   * `begin` runs before a verification, not for those that wait for the same one; it may throw. Throws `unavailable` when too many
   * wait already.
   */
  verify(user: UserRow | undefined, name: string, password: string, begin: () => void): Promise<boolean> {
    const digest = this.digest(name, password)
    const same = this.running.get(digest)
    if (same) return same
    const verification = this.run(user, password, digest, begin).finally(() => this.running.delete(digest))
    this.running.set(digest, verification)
    return verification
  }

  private async run(user: UserRow | undefined, password: string, digest: string, begin: () => void): Promise<boolean> {
    begin()
    const matches = await this.inTurn(async () => passwordMatches(password, user?.password_hash ?? (await this.nobody)))
    if (!user || !matches || user.disabled) return false
    this.remembered.delete(digest)
    if (this.remembered.size >= MAX_REMEMBERED) this.remembered.delete(this.remembered.keys().next().value ?? '')
    this.remembered.set(digest, { passwordHash: user.password_hash, untilMs: this.nowMs() + REMEMBER_MS })
    return true
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.busy >= MAX_RUNNING) {
      if (this.waiting.length >= MAX_WAITING) throw new TamsError('unavailable', 'Too many are logging in at this moment')
      await new Promise<void>((resolve) => this.waiting.push(resolve))
    } else this.busy++
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      if (next) next()
      else this.busy--
    }
  }

  private digest(name: string, password: string): string {
    return new Bun.CryptoHasher('sha256', this.key).update(JSON.stringify([name, normalPassword(password)])).digest('base64')
  }

  private nowMs(): number {
    return Number(this.clock.nowUs() / 1000n)
  }
}

const sameText = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
