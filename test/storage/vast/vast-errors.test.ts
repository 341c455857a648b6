import { expect, test } from 'bun:test'
import { isTamsError } from '../../../src/core/errors.ts'
import { translate } from '../../../src/storage/vast/vast-errors.ts'
import { Conflict, ConnectionFailed, InsufficientCapacity, ProtocolError, TimedOut, TooWideRow } from '../../../src/vastdb/index.ts'

test.each([
  [new TimedOut('no byte'), 'timeout'],
  [new ConnectionFailed('reset', { sent: true }), 'unavailable'],
  [new Conflict('again'), 'unavailable'],
  [new InsufficientCapacity('full'), 'storage_full'],
  [new TooWideRow('wide'), 'too_large'],
] as const)('%s is something that a caller can act on, with its cause', (error, code) => {
  const translated = translate(error, 'reading')
  expect(isTamsError(translated, code)).toBe(true)
  expect(translated).toMatchObject({ cause: error, message: expect.stringContaining('reading') })
})

test('what is nobody’s fault but ours stays what it is', () => {
  for (const error of [new ProtocolError('odd bytes'), new Error('bug'), 'text']) expect(translate(error, 'reading')).toBe(error)
})
