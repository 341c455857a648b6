import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { ConnectionFailed } from '../../../src/vastdb/errors.ts'
import { type Emulator, type Fault, startEmulator } from '../../emulators/vast/index.ts'
import { chunksOf, Probe } from './support.ts'

let emulator: Emulator
let probe: Probe

beforeEach(async () => {
  emulator = await startEmulator({ keepAliveEvery: 0 })
  probe = new Probe(emulator)
  await probe.createSchema()
  await probe.createTable('t')
  await probe.insert([['a', 1n]])
})
afterEach(async () => {
  probe.close()
  await emulator.close()
})

const failure = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work
  } catch (error) {
    return error
  }
}

describe('a fault', () => {
  test.each<[string, Fault, number, string]>([
    ['slow-down', { kind: 'slow-down' }, 503, 'SlowDown'],
    ['error', { kind: 'error', status: 409, code: 'Conflict' }, 409, 'Conflict'],
  ])('%s answers instead of doing, once', async (_, fault, status, code) => {
    emulator.faults.add({ ...fault, command: 'rows', method: 'DELETE' })
    const reply = await probe.delete([0n])
    expect([reply.status, reply.error.code]).toEqual([status, code])
    expect(await probe.select()).toHaveLength(1)
    expect((await probe.delete([0n])).status).toBe(200)
  })

  test('drop cuts the connection and nothing is done', async () => {
    emulator.faults.add({ kind: 'drop', command: 'rows' })
    expect(await failure(probe.delete([0n]))).toBeInstanceOf(ConnectionFailed)
    expect(await probe.select()).toHaveLength(1)
  })

  test('lost-answer cuts the connection after the commit was done', async () => {
    const txid = await probe.begin()
    await probe.insert([['b', 2n]], txid)
    emulator.faults.add({ kind: 'lost-answer', command: 'transaction', method: 'PUT' })
    expect(await failure(probe.commit(txid))).toBeInstanceOf(ConnectionFailed)
    expect(await probe.select()).toHaveLength(2)
    expect((await probe.commit(txid)).status).toBe(404)
  })

  test.each([0, 1, 3])('drop-at-frame cuts a query after %i frames', async (frame) => {
    emulator.faults.add({ kind: 'drop-at-frame', frame })
    expect(await failure(probe.query())).toBeInstanceOf(ConnectionFailed)
    expect((await probe.query()).status).toBe(200)
  })

  test('failed-marker ends a query with its code', async () => {
    emulator.faults.add({ kind: 'failed-marker', frame: 2, code: 77 })
    const { frames, chunks } = chunksOf((await probe.query()).body)
    expect(frames.at(-1)).toMatchObject({ kind: 'failed', code: 77n })
    expect([frames.length, chunks]).toEqual([3, []])
  })

  test('delay lets the answer wait', async () => {
    emulator.faults.add({ kind: 'delay', ms: 60 })
    const began = performance.now()
    await probe.query()
    expect(performance.now() - began).toBeGreaterThanOrEqual(55)
  })

  test('hits the n-th matching request, as often as ordered', async () => {
    emulator.faults.add({ kind: 'slow-down', command: 'data', path: '/s/t', skip: 1, times: 2 })
    const statuses: number[] = []
    for (let i = 0; i < 5; i++) statuses.push((await probe.query()).status)
    expect(statuses).toEqual([200, 503, 503, 200, 200])
    expect(emulator.faults.pending).toEqual([])
  })
})

describe('the administration', () => {
  const admin = (path: string, init?: RequestInit) => fetch(`${emulator.url}/_emulator/${path}`, init)

  test('takes, lists and clears faults', async () => {
    const fault: Fault = { kind: 'slow-down', command: 'data', times: 9 }
    await admin('faults', { method: 'POST', body: JSON.stringify([fault]) })
    expect(await (await admin('faults')).json()).toEqual([fault])
    expect((await probe.query()).status).toBe(503)
    await admin('faults', { method: 'DELETE' })
    expect((await probe.query()).status).toBe(200)
  })

  test('refuses a fault that it does not know', async () => {
    expect((await admin('faults', { method: 'POST', body: '{"kind":"earthquake"}' })).status).toBe(400)
    expect((await admin('faults', { method: 'POST', body: '{' })).status).toBe(400)
  })

  test('counts requests by operation', async () => {
    await admin('requests', { method: 'DELETE' })
    await probe.query()
    await probe.query()
    expect(await (await admin('requests')).json()).toEqual({ 'GET data': 2 })
  })
})
