import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import path from 'node:path'

const program = (yields: boolean) => `
const { readlinkSync } = await import('node:fs')
const { yieldToOtherThreads } = await import(${JSON.stringify(path.resolve(import.meta.dir, '../../src/core/thread-priority.ts'))})
if (${yields}) yieldToOtherThreads()
postMessage(readlinkSync('/proc/thread-self').split('/').at(-1))
await new Promise(() => {})
`

/** The 19th field of \`stat\`; the second may hold spaces. */
const niceOf = (thread: string): number => {
  const [, rest = ''] = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(/\) /)
  return Number(rest.split(' ')[16])
}

test.skipIf(process.platform !== 'linux')('a thread that yields to others has a lower priority, and it alone', async () => {
  const workers: Worker[] = []
  /** What a thread that runs this has, while it is there. */
  const niceIn = async (text: string): Promise<number> => {
    const worker = new Worker(URL.createObjectURL(new Blob([text])))
    workers.push(worker)
    return niceOf(await new Promise<string>((resolve) => worker.addEventListener('message', ({ data }) => resolve(String(data)))))
  }
  try {
    const main = niceOf(String(process.pid))
    const yielding = await niceIn(program(true))
    expect(yielding).toBeGreaterThan(main)
    expect(await niceIn(program(false))).toBe(main)
    expect(niceOf(String(process.pid))).toBe(main)
  } finally {
    for (const worker of workers) worker.terminate()
  }
})
