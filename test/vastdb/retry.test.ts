import { describe, expect, test } from 'bun:test'
import {
  BadRequest,
  Conflict,
  ConnectionFailed,
  errorOfAnswer,
  Forbidden,
  InternalServerError,
  NotFound,
  NotSupportedSchema,
  ServiceUnavailable,
  SlowDown,
  TimedOut,
  UnexpectedStatus,
  type VastError,
} from '../../src/vastdb/errors.ts'
import { DEFAULT_RETRY, isRetriable, retrying, waitAfter } from '../../src/vastdb/retry.ts'
import { encodeError } from '../../src/vastdb/wire/xml.ts'
import { fakeTools } from './support/scripted-server.ts'

const lost = new ConnectionFailed('lost', { sent: true })

describe('an error', () => {
  test.each<[string, Error, string, boolean]>([
    ['SlowDown of a write', new SlowDown('x'), 'POST', true],
    ['a lost connection of a read', lost, 'GET', true],
    ['a lost connection of a probe', lost, 'HEAD', true],
    ['a lost connection of an insert', lost, 'POST', false],
    ['a lost connection of a commit', lost, 'PUT', false],
    ['a lost connection of a delete', lost, 'DELETE', false],
    ['a time-out', new TimedOut('x'), 'GET', false],
    ['503 without SlowDown', new ServiceUnavailable('x'), 'GET', false],
    ['500', new InternalServerError('x'), 'GET', false],
    ['409', new Conflict('x'), 'PUT', false],
    ['a bug', new TypeError('x'), 'GET', false],
  ])('%s is retried or not as the protocol says', (_, error, method, expected) => {
    expect(isRetriable(error, method)).toBe(expected)
  })

  test.each<[number, string, new (...args: never[]) => VastError]>([
    [400, 'InvalidArgument', BadRequest],
    [400, 'TabularUnsupportedColumnType', NotSupportedSchema],
    [500, 'TabularUnsupportedColumnType', NotSupportedSchema],
    [403, 'AccessDenied', Forbidden],
    [404, 'NoSuchKey', NotFound],
    [409, 'Conflict', Conflict],
    [503, 'SlowDown', SlowDown],
    [503, 'Other', ServiceUnavailable],
    [204, '', UnexpectedStatus],
    [502, '', UnexpectedStatus],
  ])('%d %s has its class, code and message', (status, code, expected) => {
    const error = errorOfAnswer('GET /b', status, encodeError({ code, message: 'a < b & c' }))
    expect(error).toBeInstanceOf(expected)
    expect(error.constructor).toBe(expected)
    expect(error).toMatchObject({ status, code, operation: 'GET /b' })
    expect(error.message).toContain('a < b & c')
  })

  test('with a body that is no XML keeps its status', () => {
    expect(errorOfAnswer('GET /b', 404, 'gone')).toMatchObject({ status: 404, code: undefined, message: 'GET /b: 404' })
  })
})

describe('retries', () => {
  const always = (error: Error) => {
    let tries = 0
    const attempt = () => {
      tries += 1
      return Promise.reject(error)
    }
    return { attempt, tries: () => tries }
  }

  test('wait a random part of 1, 2, 4 … seconds', () => {
    expect([0, 1, 2, 5].map((n) => waitAfter(n, DEFAULT_RETRY, () => 0.5))).toEqual([500, 1000, 2000, 16_000])
    expect(waitAfter(5, { ...DEFAULT_RETRY, maxWaitMs: 3000 }, () => 0.5)).toBe(3000)
  })

  test('end after the number of tries, with the error', async () => {
    const tools = fakeTools()
    const { attempt, tries } = always(new SlowDown('busy'))
    const policy = { maxTries: 4, maxTimeMs: 60_000 }
    await expect(retrying(attempt, { method: 'POST', policy, tools })).rejects.toThrow('busy')
    expect(tries()).toBe(4)
    expect(tools.waits).toEqual([500, 1000, 2000])
  })

  test('end when the next try would start too late', async () => {
    const tools = fakeTools()
    const { attempt, tries } = always(lost)
    await expect(retrying(attempt, { method: 'GET', policy: DEFAULT_RETRY, tools })).rejects.toBe(lost)
    // 0.5 + 1 + 2 + 4 + 8 + 16 = 31.5 s; the next 32 s would pass 60 s.
    expect(tries()).toBe(7)
  })

  test('do not happen for what is not retriable', async () => {
    const tools = fakeTools()
    const { attempt, tries } = always(lost)
    await expect(retrying(attempt, { method: 'POST', policy: DEFAULT_RETRY, tools })).rejects.toBe(lost)
    expect(tries()).toBe(1)
    expect(tools.waits).toEqual([])
  })
})
