import path from 'node:path'

export interface MeasuredProcess {
  /** The next line that it prints. */
  next(): Promise<string>
  /** The most memory that it has taken since the last reset, in bytes; `reset` begins anew. */
  peak(command: 'reset' | 'look'): Promise<number>
  /** Has it end in order; gives its exit code. */
  end(): Promise<number>
  /** Whatever it does. */
  kill(): void
}

/**
 * A program in a process of its own, so that only its memory is measured: module text, run in the root of the repository, that leaves an
 * async function in `close` and may print lines before it ends.
 */
export const measured = (program: string): MeasuredProcess => {
  const child = Bun.spawn([process.execPath, '-e', `${program}\n${LOOP}`], {
    cwd: path.join(import.meta.dir, '../..'),
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const lines = linesOf(child.stdout)
  const next = async () => (await lines.next()).value ?? ''
  const say = (line: string) => {
    child.stdin.write(`${line}\n`)
    return child.stdin.flush()
  }
  return {
    next,
    async peak(command) {
      await say(command)
      return Number(await next())
    },
    async end() {
      await say('end')
      return child.exited
    },
    kill: () => child.kill(),
  }
}

const LOOP = `
let peak = 0
const look = () => { peak = Math.max(peak, process.memoryUsage.rss()) }
setInterval(look, 5)
for await (const line of console) {
  if (line === 'end') { await close(); process.exit(0) }
  look()
  console.log(String(peak))
  if (line === 'reset') peak = 0
}
`

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = ''
  for await (const text of stream.pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>)) {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  return undefined
}
