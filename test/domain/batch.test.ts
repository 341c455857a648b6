import { describe, expect, test } from 'bun:test'
import { TamsError } from '../../src/core/errors.ts'
import { attemptEach } from '../../src/domain/batch.ts'
import { createLog } from '../../src/telemetry/log.ts'

const attemptAll = async (faults: readonly (Error | undefined)[], inLine: boolean) => {
  const tried: number[] = []
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'json', destination: { write: (line) => void lines.push(line) } })
  const attempt = async (index: number): Promise<number> => {
    tried.push(index)
    const fault = faults[index]
    if (fault) throw fault
    return index
  }
  const deps = { log, clock: { nowUs: () => 1_700_000_000_000_000n } }
  const [result] = await Promise.allSettled([attemptEach(deps, { requestId: 'r-1' }, [...faults.keys()], attempt, () => inLine)])
  const outcome =
    result.status === 'rejected'
      ? { thrown: result.reason }
      : { done: result.value.done, failed: result.value.failed.map(({ index, error }) => [index, error.type]) }
  return { ...outcome, tried, logged: lines.map((line) => JSON.parse(line)) }
}

const bug = () => new Error('no such thing')
const away = () => new TamsError('unavailable', 'the store is away')
const blamed = () => new TamsError('not_found', 'there is none')

describe.each([
  ['one after the other', true],
  ['at the same time', false],
])('items of a batch, %s', (_how, inLine) => {
  test('that meet a fault of the program are answered without detail, and logged once for each fault', async () => {
    const { done, failed, logged } = await attemptAll([bug(), undefined, blamed(), bug(), new Error('another')], inLine)
    expect(done).toEqual([1])
    expect(failed).toEqual([
      [0, 'internal'],
      [2, 'not_found'],
      [3, 'internal'],
      [4, 'internal'],
    ])
    expect(logged).toMatchObject([
      { level: 'error', request_id: 'r-1', items: [0, 3], err: { message: 'no such thing' } },
      { level: 'error', request_id: 'r-1', items: [4], err: { message: 'another' } },
    ])
  })

  test('are a failed request where nothing was done and no item is to blame for that', async () => {
    const fault = bug()
    expect(await attemptAll([fault, bug()], inLine)).toMatchObject({ thrown: fault, logged: [] })
    expect(await attemptAll([blamed(), blamed()], inLine)).toMatchObject({ done: [], logged: [] })
  })

  test('of which some meet an outage are given back, and it is a warning', async () => {
    const { done, failed, tried, logged } = await attemptAll([undefined, away(), undefined], inLine)
    expect(done).toEqual(inLine ? [0] : [0, 2])
    expect(tried).toEqual(inLine ? [0, 1] : [0, 1, 2])
    expect(failed?.map(([index]) => index)).toEqual(inLine ? [1, 2] : [1])
    expect(logged).toMatchObject([{ level: 'warn', items: inLine ? [1, 2] : [1] }])
  })
})
