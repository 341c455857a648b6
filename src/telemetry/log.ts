import { Writable } from 'node:stream'
import pino from 'pino'
import pretty from 'pino-pretty'
import { redactMembers, redactText } from './redact.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

type Write = (detail: Readonly<Record<string, unknown>>, message: string) => void

/** Where a line goes. Detail is redacted: secrets by name, credentials in URLs and headers; errors may be members of it. */
export interface Log extends Readonly<Record<LogLevel, Write>> {
  /** A log that adds these members to every line. */
  child(bindings: Readonly<Record<string, unknown>>): Log
  /** Resolves once everything logged so far is written, or cannot be: the last thing before the process ends. */
  flush(): Promise<void>
}

export interface LogOptions {
  readonly level: LogLevel | 'silent'
  /** `auto`: pretty when standard output is a terminal. */
  readonly format: 'auto' | 'json' | 'pretty'
  /** Instead of standard output; gets whole lines. */
  readonly destination?: LogDestination
}

export interface LogDestination {
  write(line: string): void
}

// Nobody may be reading standard output any more.
const FLUSH_MS = 1000

/** One line for each call: a JSON object `{level, time, …detail, msg}`, or the same for people. */
export const createLog = ({ level, format, destination }: LogOptions): Log => {
  const forPeople = format === 'pretty' || (format === 'auto' && destination === undefined && process.stdout.isTTY === true)
  const stream = forPeople ? prettyStream(destination) : (destination ?? new StandardOutput())
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: (err: unknown) => err },
  }
  return wrap(pino(options, stream))
}

/**
 * The lines of one turn of the event loop together: pino's stream takes longer for each line the more of them wait. With 64 lines in a turn this takes
 * half the time.
 */
class StandardOutput {
  // With a least length of 0, flush would do nothing.
  readonly #stream = pino.destination({ fd: 1, sync: false, minLength: 1 })
  #lines: string[] = []

  constructor() {
    // Whatever ends the process: what was logged is still written.
    process.once('exit', () => {
      this.#pass()
      this.#stream.flushSync()
    })
  }

  write(line: string): void {
    if (this.#lines.push(line) === 1) setImmediate(() => this.#pass())
  }

  flush(done: () => void): void {
    this.#pass()
    this.#stream.flush(done)
  }

  #pass(): void {
    const text = this.#lines.join('')
    this.#lines = []
    if (text !== '') this.#stream.write(text)
  }
}

// A stream in this process: pino's own transports are worker threads, which do not survive every way of packaging the program.
const prettyStream = (destination: LogDestination | undefined) =>
  pretty({
    colorize: destination === undefined && process.stdout.isTTY === true,
    translateTime: 'HH:MM:ss.l',
    sync: true,
    ...(destination === undefined ? {} : { destination: lineStream(destination) }),
  })

const lineStream = (destination: LogDestination): Writable =>
  new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      destination.write(String(chunk))
      done()
    },
  })

const wrap = (logger: pino.Logger): Log => {
  const at =
    (level: LogLevel): Write =>
    (detail, message) => {
      if (logger.isLevelEnabled(level)) logger[level](redactMembers(detail), redactText(message))
    }
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    child: (bindings) => wrap(logger.child(redactMembers(bindings))),
    flush: () => Promise.race([new Promise<void>((resolve) => logger.flush(() => resolve())), Bun.sleep(FLUSH_MS)]),
  }
}
