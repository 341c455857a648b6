import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { Passwords } from '../../../api/auth/passwords.ts'
import { systemClock } from '../../../src/core/clock.ts'
import type { UserRow } from '../../../src/domain/credentials.ts'
import { hashPassword } from '../../../src/domain/password.ts'

const PASSWORD = 'correct horse battery'
const nothing = () => {}
const user = async (more: Partial<UserRow> = {}): Promise<UserRow> => ({
  name: 'ann',
  password_hash: await hashPassword(PASSWORD),
  scopes: '["read"]',
  classes: '[]',
  disabled: false,
  created: 0n,
  updated: 0n,
  ...more,
})
const fixed = { nowUs: () => 0n }

describe('a password', () => {
  const verify = spyOn(Bun.password, 'verify')
  afterEach(() => void verify.mockClear())

  test('of nobody costs one verification with the same parameters as a wrong one of somebody', async () => {
    const passwords = new Passwords(systemClock())
    const parameters = () => verify.mock.calls.map(([, hash]) => String(hash).split('$').slice(0, 4).join('$'))
    expect(await passwords.verify(undefined, 'nobody', PASSWORD, nothing)).toBe(false)
    const forNobody = parameters()
    verify.mockClear()
    expect(await passwords.verify(await user(), 'ann', 'a wrong password', nothing)).toBe(false)
    expect(forNobody).toEqual(parameters())
    expect(forNobody).toEqual(['$argon2id$v=19$m=19456,t=2,p=1'])
  })

  test('that is right is remembered, for that user and while it is the same, but not for ever', async () => {
    let nowUs = 0n
    const passwords = new Passwords({ nowUs: () => nowUs })
    const ann = await user()
    expect(passwords.isRemembered(ann, PASSWORD)).toBe(false)
    expect(await passwords.verify(ann, 'ann', PASSWORD, nothing)).toBe(true)
    expect(passwords.isRemembered(ann, PASSWORD)).toBe(true)
    expect(passwords.isRemembered(ann, `${PASSWORD}x`)).toBe(false)
    expect(passwords.isRemembered({ ...ann, name: 'bob' }, PASSWORD)).toBe(false)
    expect(passwords.isRemembered(await user(), PASSWORD)).toBe(false)
    nowUs = 301_000_000n
    expect(passwords.isRemembered(ann, PASSWORD)).toBe(false)
  })

  test('of a user who is disabled is verified and refused, and not remembered', async () => {
    const passwords = new Passwords(fixed)
    const ann = await user({ disabled: true })
    expect(await passwords.verify(ann, 'ann', PASSWORD, nothing)).toBe(false)
    expect(verify).toHaveBeenCalledTimes(1)
    expect(passwords.isRemembered(ann, PASSWORD)).toBe(false)
  })

  test('is the same in both Unicode forms, and none is too long or too short to be refused', async () => {
    const passwords = new Passwords(fixed)
    const ann = await user({ password_hash: await hashPassword('crème brûlée maison'.normalize('NFD')) })
    expect(await passwords.verify(ann, 'ann', 'crème brûlée maison'.normalize('NFC'), nothing)).toBe(true)
    for (const odd of ['', ' ', '\0', 'x'.repeat(100_000), '\ud800']) expect(await passwords.verify(ann, 'ann', odd, nothing)).toBe(false)
  })

  test('waits its turn, and is refused when too many wait', async () => {
    const passwords = new Passwords(fixed)
    const ann = await user()
    verify.mockImplementation(async () => false)
    const tried = Array.from({ length: 60 }, (_, i) => passwords.verify(ann, 'ann', `a wrong password ${i}`, nothing))
    const settled = await Promise.allSettled(tried)
    expect(settled.filter((each) => each.status === 'fulfilled')).toHaveLength(52)
    expect(settled.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []))).toEqual(Array(8).fill('unavailable'))
    verify.mockRestore()
    expect(await passwords.verify(ann, 'ann', PASSWORD, nothing)).toBe(true)
  })
})
