import path from 'node:path'

/** A server in a process of its own, as it would run. */
export interface Program {
  readonly name: string
  /** Without a trailing slash. */
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

export interface ProgramOptions {
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>> | undefined
}

const root = path.resolve(import.meta.dir, '../..')
const START_MS = 20_000

/** The real service, as the README starts it, with the access log off. */
export const startService = (options: ProgramOptions): Promise<Program> =>
  start('service', [path.join(root, 'src/cli/tams.ts'), 'serve'], options)

/** `bench/bare/{name}.ts`. */
export const startBare = (name: string, options: ProgramOptions): Promise<Program> =>
  start('bare', [path.join(root, 'bench/bare', `${name}.ts`)], options)

const start = async (name: string, command: readonly string[], { dataDir, env = {} }: ProgramOptions): Promise<Program> => {
  const port = freePort()
  const child = Bun.spawn([process.execPath, 'run', ...command], {
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      LOG_LEVEL: 'warn',
      ...env,
      TAMS_DATA_DIR: dataDir,
      PORT: String(port),
    },
    stdout: 'inherit',
    stderr: 'inherit',
  })
  const url = `http://127.0.0.1:${port}`
  await answers(url, child)
  return {
    name,
    url,
    pid: child.pid,
    async stop() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

const freePort = (): number => {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const { port } = server
  server.stop(true)
  if (port === undefined) throw new Error('there is no free port')
  return port
}

const answers = async (url: string, child: Bun.Subprocess): Promise<void> => {
  const giveUpAt = performance.now() + START_MS
  for (;;) {
    const up = await fetch(`${url}/health`).then(
      () => true,
      () => false,
    )
    if (up) return
    if (child.exitCode !== null) throw new Error(`the program for ${url} ended with ${child.exitCode}`)
    if (performance.now() > giveUpAt) {
      child.kill()
      throw new Error(`nothing answers at ${url}`)
    }
    await Bun.sleep(20)
  }
}
