import { rm } from 'node:fs/promises'
import path from 'node:path'
import { scratchDirectory } from './scratch.ts'

export interface Load {
  readonly url: string
  /** Lua: what to send. `counter` is a number that differs for each request of a run. */
  readonly script: string
  readonly connections: number
  readonly seconds: number
}

export interface Figures {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

// One thread makes the counter a plain variable; it sends far more than one server process can answer.
const THREADS = '-t1'

const done = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT %d %d %d %d %d\\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
`

/** Runs `wrk`. Throws when anything but success was answered: a fast error is no figure. */
export const wrk = async ({ url, script, connections, seconds }: Load): Promise<Figures> => {
  const file = path.join(await scratchDirectory(), `load-${process.pid}-${Math.random().toString(36).slice(2)}.lua`)
  await Bun.write(file, `counter = 0\n${script}\n${done}`)
  try {
    const child = Bun.spawn(['wrk', THREADS, `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '-s', file, url], {
      stderr: 'inherit',
    })
    const output = await new Response(child.stdout).text()
    const result = /^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(output)
    if ((await child.exited) !== 0 || !result) throw new Error(`wrk failed: ${output}`)
    const [requests = 0, us = 0, errors = 0, p50 = 0, p99 = 0] = result.slice(1).map(Number)
    if (errors > 0) throw new Error(`${errors} of ${requests} requests to ${url} failed`)
    return { requestsPerSecond: (requests / us) * 1e6, p50Ms: p50 / 1000, p99Ms: p99 / 1000 }
  } finally {
    await rm(file, { force: true })
  }
}
