import { expect, test } from 'bun:test'
import type { TableName } from '../../src/storage/schema.ts'
import { TableWatch } from '../../src/storage/table-watch.ts'

/** A watch whose looks are made one by one: `turn` lets the next pause end, and gives how long it was. */
const watched = () => {
  const answers: (readonly TableName[] | Error)[] = []
  let looks = 0
  let resume: (() => void) | undefined
  let pauseMs = 0
  const watch = new TableWatch({
    look: async () => {
      looks += 1
      const answer = answers.shift() ?? []
      if (answer instanceof Error) throw answer
      return answer
    },
    sleep: (ms) => {
      pauseMs = ms
      return new Promise<void>((resolve) => {
        resume = resolve
      })
    },
  })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return {
    watch,
    answers,
    get looks() {
      return looks
    },
    async turn(): Promise<number> {
      await settled()
      const ended = pauseMs
      resume?.()
      await settled()
      return ended
    },
  }
}

test('what this process has written is seen at once, by those who ask for that table only', () => {
  const { watch } = watched()
  const before = [watch.seen('flows'), watch.seen('objects')]
  watch.touch(['flows', 'event_log'])
  expect(watch.seen('flows')).not.toBe(before[0] ?? '')
  expect(watch.seen('objects')).toBe(before[1] ?? '')
})

test('what others have written is seen after the next look, all tables with one', async () => {
  const state = watched()
  const { watch } = state
  const before = { flows: watch.seen('flows'), objects: watch.seen('objects') }
  await state.turn()
  expect({ flows: watch.seen('flows'), objects: watch.seen('objects') }).toEqual(before)
  state.answers.push(['objects'])
  const looks = state.looks
  await state.turn()
  expect(watch.seen('flows')).toBe(before.flows)
  expect(watch.seen('objects')).not.toBe(before.objects)
  expect(state.looks).toBe(looks + 1)
})

test('looks become seldom while nothing happens, and frequent when something does; never more seldom than each half second', async () => {
  const state = watched()
  state.watch.seen('flows')
  const pauses: number[] = []
  for (let i = 0; i < 6; i++) pauses.push(await state.turn())
  expect(pauses).toEqual([100, 200, 400, 500, 500, 500])
  state.answers.push(['flows'])
  await state.turn()
  expect(await state.turn()).toBe(50)
  expect(await state.turn()).toBe(100)
})

test('a look that fails tells nothing, and the next one is made', async () => {
  const state = watched()
  const before = state.watch.seen('flows')
  state.answers.push(new Error('the store is away'), ['flows'])
  await state.turn()
  expect(state.watch.seen('flows')).toBe(before)
  await state.turn()
  expect(state.watch.seen('flows')).not.toBe(before)
})

test('after sixty looks everybody is told to look for themselves; when nobody asks any more, looking ends', async () => {
  const state = watched()
  const before = state.watch.seen('flows')
  for (let i = 0; i < 60; i++) {
    await state.turn()
    if (i === 30) expect(state.watch.seen('flows')).toBe(before)
  }
  expect(state.watch.seen('flows')).not.toBe(before)
  for (let i = 0; i < 130; i++) await state.turn()
  const { looks } = state
  await state.turn()
  expect(state.looks).toBe(looks)
  const later = state.watch.seen('flows')
  expect(later).not.toBe(before)
  await state.turn()
  expect(state.looks).toBeGreaterThan(looks)
})

test('a closed watch looks no more', async () => {
  const state = watched()
  state.watch.seen('flows')
  state.watch.close()
  await state.turn()
  const { looks } = state
  state.watch.seen('flows')
  await state.turn()
  expect(state.looks).toBe(looks)
})
