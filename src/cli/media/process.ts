import { CliError } from '../cli-error.ts'

const LAST_LINES = 6

/**
 * Runs a program and gives its standard output line by line. Rejects with the end of its standard error when it fails or
 * is missing; a consumer that stops early ends it.
 */
export const linesOf = (command: readonly string[]): AsyncGenerator<string> => outputOf(command, splitLines)

/** The same for a program whose output is no text, as the chunks come. */
export const bytesOf = (command: readonly string[]): AsyncGenerator<Uint8Array> => outputOf(command, chunksOf)

async function* outputOf<T>(
  command: readonly string[],
  read: (stream: ReadableStream<Uint8Array>) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const child = start(command)
  const complaint = new Response(child.stderr).text()
  let finished = false
  try {
    yield* read(child.stdout)
    finished = true
  } finally {
    if (!finished) child.kill()
    await child.exited
  }
  if (child.exitCode !== 0) throw failure(command, child.exitCode, await complaint)
}

/** Runs a program to its end and gives its standard output. */
export const run = async (command: readonly string[]): Promise<string> => {
  const child = start(command)
  const [output, complaint] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const code = await child.exited
  if (code !== 0) throw failure(command, code, complaint)
  return output
}

const start = (command: readonly string[]) => {
  try {
    return Bun.spawn([...command], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  } catch (cause) {
    throw new CliError(`${command[0]} cannot be started; ffmpeg and ffprobe have to be installed and on the PATH`, { cause })
  }
}

const failure = (command: readonly string[], code: number | null, complaint: string): CliError => {
  const said = complaint.trim().split('\n').slice(-LAST_LINES).join('\n')
  return new CliError(`${command[0]} failed with exit code ${code}${said === '' ? '' : `:\n${said}`}`)
}

async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* stream
}

async function* splitLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}
