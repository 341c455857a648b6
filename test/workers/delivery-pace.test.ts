import { beforeEach, expect, test } from 'bun:test'
import { DeliveryPace } from '../../src/workers/delivery-pace.ts'

const signal = new AbortController().signal
let nowMs: number
let usedMs: number
let pace: DeliveryPace
beforeEach(() => {
  nowMs = 0
  usedMs = 0
  pace = new DeliveryPace({
    nowMs: () => nowMs,
    usedMs: () => usedMs,
    sleep: async (ms) => {
      nowMs += ms
    },
  })
})

/** How many deliveries begin in this time while everything together uses this share of the thread. */
const deliveriesIn = async (ms: number, share: number, host: (index: number) => string): Promise<number> => {
  const until = nowMs + ms
  let began = nowMs
  let count = 0
  while (nowMs < until) {
    await pace.turn(host(count), signal)
    usedMs += (nowMs - began) * share
    began = nowMs
    count++
  }
  return count
}
const manyHosts = (index: number) => `host-${index % 100}`
const oneHost = () => 'one.example'

test('many hosts get five thousand in a second while the thread is free, one host a thousand', async () => {
  expect(await deliveriesIn(1000, 0.2, manyHosts)).toBeWithin(4900, 5100)
  expect(await deliveriesIn(1000, 0.2, oneHost)).toBeWithin(950, 1050)
})

test('a thread that is busy with requests leaves them 250 in a second, and all of them again afterwards', async () => {
  await deliveriesIn(1000, 0.9, manyHosts)
  expect(await deliveriesIn(1000, 0.9, manyHosts)).toBeWithin(245, 260)
  await deliveriesIn(2000, 0.1, manyHosts)
  expect(await deliveriesIn(1000, 0.1, manyHosts)).toBeWithin(4900, 5100)
})

test('a host at its limit holds up no other', async () => {
  const waits: number[] = []
  const still = new DeliveryPace({ nowMs: () => 0, usedMs: () => 0, sleep: async (ms) => void waits.push(ms) })
  for (let index = 0; index < 500; index++) await still.turn('full.example', signal)
  await still.turn('other.example', signal)
  expect(waits.at(-2)).toBeGreaterThan(450)
  expect(waits.at(-1)).toBeLessThan(100)
})

test('who waits is let go when the work ends', async () => {
  const real = new DeliveryPace()
  const ending = new AbortController()
  const waiting = Array.from({ length: 2000 }, () => real.turn('one.example', ending.signal))
  ending.abort()
  await Promise.all(waiting)
  expect(waiting).toHaveLength(2000)
})
