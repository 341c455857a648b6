import { test } from 'bun:test'
import { checkModel } from '../support/model/check.ts'

const MINUTE = 60_000

test(
  'thousands of random sequences of requests are answered as a simple model of the store answers them',
  async () => {
    const seed = Date.now() % 2 ** 31
    console.log(`model: seed ${seed}`)
    await checkModel({ runs: 2000, commands: 40, seed })
  },
  15 * MINUTE,
)

test(
  'so are thousands of sequences of deletions that are soft, undone, repeated and purged',
  async () => {
    const seed = Date.now() % 2 ** 31
    console.log(`model with a trash: seed ${seed}`)
    await checkModel({ runs: 1000, commands: 40, seed, trash: true })
  },
  15 * MINUTE,
)
