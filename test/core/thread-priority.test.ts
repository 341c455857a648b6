import { expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const PROGRAM = `
const { yieldToOtherThreads } = await import(${JSON.stringify(path.resolve(import.meta.dir, '../../src/core/thread-priority.ts'))})
yieldToOtherThreads()
postMessage('done')
await new Promise(() => {})
`

/** The 19th field of \`stat\`; the second may hold spaces. */
const niceOf = (thread: string): number => {
  const stat = `/proc/self/task/${thread}/stat`
  if (!existsSync(stat)) return 0
  const [, rest = ''] = readFileSync(stat, 'utf8').split(/\) /)
  return Number(rest.split(' ')[16])
}

test.skipIf(process.platform !== 'linux')('a thread that yields to others has a lower priority, and it alone', async () => {
  // Threads of other tests may end meanwhile.
  const before = new Set(readdirSync('/proc/self/task').filter((thread) => niceOf(thread) > 0))
  const worker = new Worker(URL.createObjectURL(new Blob([PROGRAM])))
  await new Promise((resolve) => {
    worker.onmessage = resolve
  })
  expect(readdirSync('/proc/self/task').filter((thread) => niceOf(thread) > 0 && !before.has(thread))).toHaveLength(1)
  expect(niceOf(String(process.pid))).toBeLessThanOrEqual(0)
  worker.terminate()
})
