/** Exit codes of every command. */
export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** A failure whose message is for the person at the terminal: printed as `tams: message`, without a stack. */
export class CliError extends Error {
  readonly exitCode: number

  constructor(message: string, options: { readonly exitCode?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.exitCode = options.exitCode ?? EXIT.failure
  }
}

/** The command line itself is wrong. */
export const usage = (message: string): CliError => new CliError(message, { exitCode: EXIT.usage })

/** One line on stderr; stdout is kept for results. */
export const say = (message: string): void => {
  process.stderr.write(`${message}\n`)
}

/** The message of an error with its causes, outermost first. */
export const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${explain(error.cause)}`
}
