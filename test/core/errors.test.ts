import { describe, expect, test } from 'bun:test'
import { invalid, isTamsError, notFound, TamsError } from '../../src/core/errors.ts'

describe('a failure the caller can act on', () => {
  test('names the field at fault in front of the reason', () => {
    const error = invalid('essence_parameters.frame_width', 'must be an integer')
    expect(error).toMatchObject({ code: 'invalid', field: 'essence_parameters.frame_width', name: 'TamsError' })
    expect(error.message).toBe('essence_parameters.frame_width: must be an integer')
  })

  test('keeps its cause and its detail', () => {
    const cause = new Error('disk on fire')
    const error = new TamsError('unavailable', 'Segments could not be read', { cause, detail: { table: 'segments' } })
    expect(error.cause).toBe(cause)
    expect(error.detail).toEqual({ table: 'segments' })
  })

  test('without a cause has none, not even an undefined one', () => {
    expect('cause' in invalid('limit', 'must be positive')).toBe(false)
    expect('cause' in notFound('Flow x')).toBe(false)
  })

  test('is told from other errors, and by its code', () => {
    expect(isTamsError(notFound('Flow x'))).toBe(true)
    expect(isTamsError(notFound('Flow x'), 'not_found')).toBe(true)
    expect(isTamsError(notFound('Flow x'), 'invalid')).toBe(false)
    expect(isTamsError(Object.assign(new Error('x'), { code: 'not_found' }))).toBe(false)
    expect(isTamsError({ code: 'not_found', message: 'x' })).toBe(false)
  })
})
