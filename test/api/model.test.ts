import { test } from 'bun:test'
import { checkModel } from '../support/model/check.ts'

test(
  'random sequences of requests are answered as a simple model of the store answers them',
  () => checkModel({ runs: 30, commands: 30, seed: 20_260_102 }),
  240_000,
)

test(
  'so are sequences of deletions that are soft, undone, repeated and purged',
  () => checkModel({ runs: 30, commands: 30, seed: 20_260_102, trash: true }),
  240_000,
)
