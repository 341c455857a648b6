import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The 19th field of `stat`; the second may hold spaces. */
const niceOf = (stat: string): number => Number(stat.split(/\) /)[1]?.split(' ')[16])

/** Tells `stat` of its own thread, which is gone soon after. */
const program = (yields: boolean) => `
const { readFileSync } = await import('node:fs')
const { yieldToOtherThreads } = await import(${JSON.stringify(path.resolve(import.meta.dir, '../../src/core/thread-priority.ts'))})
if (${yields}) yieldToOtherThreads()
postMessage(readFileSync('/proc/thread-self/stat', 'utf8'))
`

const niceIn = async (text: string): Promise<number> => {
  const worker = new Worker(URL.createObjectURL(new Blob([text])))
  try {
    return niceOf(await new Promise<string>((resolve) => worker.addEventListener('message', ({ data }) => resolve(String(data)))))
  } finally {
    worker.terminate()
  }
}

test.skipIf(process.platform !== 'linux')('a thread that yields to others has a lower priority, and it alone', async () => {
  const main = (): number => niceOf(readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8'))
  const before = main()
  expect(await niceIn(program(true))).toBeGreaterThan(before)
  expect(await niceIn(program(false))).toBe(before)
  expect(main()).toBe(before)
})
