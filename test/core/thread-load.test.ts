import { expect, test } from 'bun:test'
import { threadLoad } from '../../src/core/thread-load.ts'

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

test('a thread that waits is not busy', () => {
  const load = threadLoad()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  expect(load()).toBeLessThan(0.5)
})

test('what a thread has worked counts, what it waited for a core does not', () => {
  const load = threadLoad()
  const [cpu, began] = [cpuMs(), performance.now()]
  while (cpuMs() - cpu < 40);
  const worked = () => (cpuMs() - cpu) / (performance.now() - began)
  const before = worked()
  const found = load()
  const [least = 0, most = 0] = [before, worked()].toSorted((a, b) => a - b)
  expect(found).toBeWithin(least - 0.02, most + 0.02)
})

test('each answer is about the time since the one before', () => {
  const load = threadLoad()
  const cpu = cpuMs()
  while (cpuMs() - cpu < 40);
  load()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  expect(load()).toBeLessThan(0.5)
})
