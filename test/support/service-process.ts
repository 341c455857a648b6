import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openSqliteTables } from '../../src/storage/sqlite/index.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { videoFlow } from './fixtures.ts'

/** The command line of this repository. */
export const TAMS = [process.execPath, 'run', path.join(import.meta.dir, '../../src/cli/tams.ts')]
const SERVE = [...TAMS, 'serve']
const START_MS = 120_000

/** A log line of the service. */
export type Line = Readonly<Record<string, unknown>> & { readonly msg?: string; readonly request_id?: string }

export interface ServiceProcess {
  readonly url: string
  /** Everything on standard output so far, line by line. */
  readonly lines: readonly string[]
  /** The first line with this message, now or later. */
  line(message: string): Promise<Line>
  call(method: string, path: string, body?: unknown): Promise<Response>
  /** Gives the exit code; null where a signal ended it. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | null>
  signal(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): void
  readonly exited: Promise<number | null>
}

type Environment = Readonly<Record<string, string>>

// Nothing of the machine's own settings of the service.
const environment = (dataDir: string, env: Environment): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  PORT: '0',
  TAMS_DATA_DIR: dataDir,
  ...env,
})

/** `tams serve` on a free port of 127.0.0.1, once it listens. */
export const startService = async (dataDir: string, env: Environment = {}): Promise<ServiceProcess> => {
  const child = Bun.spawn(SERVE, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', env: environment(dataDir, env) })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const reading = (async () => {
    let rest = ''
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      lines.push(...parts)
      for (const wake of waiting) wake()
    }
    if (rest !== '') lines.push(rest)
  })()
  const exited = child.exited.then(async () => {
    await reading
    for (const wake of waiting) wake()
    return child.exitCode
  })
  const find = (message: string): Line | undefined => lines.map((line) => JSON.parse(line) as Line).find((line) => line.msg === message)
  const line = (message: string): Promise<Line> =>
    new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer)
        waiting.delete(look)
        end()
      }
      const look = () => {
        const found = find(message)
        if (found) settle(() => resolve(found))
        else if (child.exitCode !== null || child.signalCode !== null)
          settle(() => reject(new Error(`the service ended without "${message}"`)))
      }
      const timer = setTimeout(() => settle(() => reject(new Error(`no line "${message}" in ${START_MS} ms`))), START_MS)
      waiting.add(look)
      look()
    })
  const { url } = await line('listening').catch(async (error: unknown) => {
    child.kill('SIGKILL')
    throw new Error(`${error instanceof Error ? error.message : error}: ${await new Response(child.stderr).text()}`)
  })
  return {
    url: String(url),
    lines,
    line,
    call: (method, target, body) =>
      fetch(`${url}${target}`, {
        method,
        ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      }),
    signal: (signal) => child.kill(signal),
    end: (signal) => {
      child.kill(signal)
      return exited
    },
    exited,
  }
}

/** A start that is refused. */
export const refusedService = async (
  dataDir: string,
  env: Environment,
): Promise<{ readonly code: number | null; readonly stderr: string }> => {
  const child = Bun.spawn(SERVE, {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
    env: environment(dataDir, env),
    timeout: START_MS,
  })
  const stderr = await new Response(child.stderr).text()
  await child.exited
  return { code: child.exitCode, stderr }
}

export interface TamsOptions {
  readonly env?: Environment
  readonly stdin?: string
}

/** A `tams` command on the store of this directory; `ended` has its exit code, null where a signal ended it. */
export const startTams = (dataDir: string, args: readonly string[], { env = {}, stdin = '' }: TamsOptions = {}) => {
  const child = Bun.spawn([...TAMS, ...args], {
    stdin: Buffer.from(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    env: environment(dataDir, env),
  })
  const end = async () => {
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    await child.exited
    return { code: child.exitCode, stdout, stderr }
  }
  return { ended: end(), kill: () => child.kill('SIGKILL') }
}

export const runTams = (dataDir: string, args: readonly string[], options?: TamsOptions) => startTams(dataDir, args, options).ended

export const temporaryDirectory = async (): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const directory = await mkdtemp(path.join(tmpdir(), 'tams-process-'))
  return { path: directory, remove: () => rm(directory, { recursive: true, force: true }) }
}

/** The service's store, read by this process. */
export const withStore = async <T>(dataDir: string, work: (tables: Tables) => Promise<T>): Promise<T> => {
  const tables = await openSqliteTables({ file: path.join(dataDir, 'tams.sqlite') })
  try {
    return await work(tables)
  } finally {
    await tables.close()
  }
}

/** Media files of the embedded backend: those of objects, and those of uploads in progress. */
export const mediaFiles = async (root: string): Promise<{ readonly objects: string[]; readonly temporary: string[] }> => {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
  return {
    objects: files.filter((file) => !file.startsWith('~tmp') && !file.endsWith('~meta')),
    temporary: files.filter((file) => file.startsWith('~tmp')),
  }
}

/** Asks again until the answer is there; `what` names it in the error after `timeoutMs`. */
export const eventually = async <T>(what: string, ask: () => Promise<T | undefined>, timeoutMs = 120_000): Promise<T> => {
  const end = performance.now() + timeoutMs
  while (performance.now() < end) {
    const value = await ask()
    if (value !== undefined) return value
    await Bun.sleep(5)
  }
  throw new Error(`not in ${timeoutMs} ms: ${what}`)
}

/** The answer, which has this status. */
export const succeed = async (answer: Promise<Response>, status: number): Promise<Response> => {
  const response = await answer
  if (response.status !== status) throw new Error(`status ${response.status}, expected ${status}: ${await response.text()}`)
  return response
}

/** The id of a new flow. */
export const makeFlow = async (service: ServiceProcess): Promise<string> => {
  const flow = videoFlow()
  await succeed(service.call('PUT', `/flows/${flow.id}`, flow), 201)
  return flow.id
}
