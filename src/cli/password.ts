import { CliError, EXIT, say } from './cli-error.ts'

/** A password: typed twice at a terminal, unseen, or the first line of standard input. Never from the command line, which others can see. */
export const readPassword = async (who: string): Promise<string> => {
  if (!process.stdin.isTTY) return firstLine(await Bun.stdin.text())
  const first = await typed(`Password of ${who}: `)
  if (first !== (await typed('The same again: '))) throw new CliError('the two are not the same')
  return first
}

const firstLine = (text: string): string => {
  const [line = ''] = text.split(/\r?\n/, 1)
  if (line === '') throw new CliError('no password came on standard input')
  return line
}

const typed = async (question: string): Promise<string> => {
  const { stdin } = process
  process.stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.resume()
  let text = ''
  try {
    for (;;) {
      const keys = await new Promise<string>((resolve) => stdin.once('data', (data) => resolve(String(data))))
      for (const key of keys) {
        if (key === '\r' || key === '\n') return text
        if (key === '\u0003' || key === '\u0004') throw new CliError('interrupted', { exitCode: EXIT.interrupted })
        text = key === '\u007f' || key === '\b' ? [...text].slice(0, -1).join('') : text + key
      }
    }
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    say('')
  }
}
