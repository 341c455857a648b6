import { expect, test } from 'bun:test'
import { inOrder } from '../../src/cli/in-order.ts'

/** Work that ends when the test says so. */
const controlled = () => {
  const open = new Map<number, PromiseWithResolvers<string>>()
  const begun: number[] = []
  const work = (item: number): Promise<string> => {
    const control = Promise.withResolvers<string>()
    begun.push(item)
    open.set(item, control)
    return control.promise
  }
  const settled = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve()
  }
  return {
    work,
    begun,
    finish: (item: number) => open.get(item)?.resolve(`done ${item}`),
    fail: (item: number) => open.get(item)?.reject(new Error(`failed ${item}`)),
    settled,
  }
}

test('results come in the order of the items, as many as are ready', async () => {
  const { work, begun, finish, settled } = controlled()
  const results = inOrder([1, 2, 3, 4], work, { concurrency: 3, window: 4 })
  const batch = results.next()
  await settled()
  expect(begun).toEqual([1, 2, 3])
  finish(2)
  finish(3)
  await settled()
  expect(begun).toEqual([1, 2, 3, 4])
  finish(1)
  expect((await batch).value).toEqual(['done 1', 'done 2', 'done 3'])
  const last = results.next()
  finish(4)
  expect((await last).value).toEqual(['done 4'])
  expect((await results.next()).done).toBe(true)
})

test('after a failure what came before it is handed over, and what waits is not begun', async () => {
  const { work, begun, finish, fail, settled } = controlled()
  const results = inOrder([1, 2, 3, 4, 5], work, { concurrency: 2, window: 5 })
  const batch = results.next()
  await settled()
  finish(1)
  fail(2)
  await settled()
  expect((await batch).value).toEqual(['done 1'])
  const next = results.next()
  finish(3)
  finish(4)
  expect(next).rejects.toThrow('failed 2')
  await next.catch(() => {})
  expect(begun).not.toContain(5)
})

test('nothing to do gives nothing', async () => {
  expect(await Array.fromAsync(inOrder([], async () => 1, { concurrency: 2, window: 2 }))).toEqual([])
})
