import { ScanReader } from './scan-reader.ts'

const IDLE_MS = 60_000

interface Idle {
  readonly reader: ScanReader
  readonly timer: NodeJS.Timeout
}

/** Workers that scan, kept for a while between transactions: a new one has its code to load and to compile, beside those who serve requests. */
export class ScanPool {
  private readonly idle: Idle[] = []
  private readonly leaving = new Set<Promise<void>>()
  private closed = false

  constructor(private readonly file: string) {}

  /** One without a snapshot yet, which nobody else has; to be given back. */
  take(): ScanReader {
    const last = this.idle.pop()
    if (!last) return new ScanReader(this.file)
    clearTimeout(last.timer)
    return last.reader
  }

  /** Ends what the reader does, and its snapshot. Resolves when these are gone. */
  async giveBack(reader: ScanReader): Promise<void> {
    if (!(await reader.rest())) return
    if (this.closed) await reader.stop()
    else this.idle.push({ reader, timer: setTimeout(() => this.dismiss(reader), IDLE_MS).unref() })
  }

  /** Ends all that are idle, and those that are given back later. */
  async close(): Promise<void> {
    this.closed = true
    for (const { reader } of [...this.idle]) this.dismiss(reader)
    await Promise.all(this.leaving)
  }

  private dismiss(reader: ScanReader): void {
    const [{ timer } = {}] = this.idle.splice(
      this.idle.findIndex((each) => each.reader === reader),
      1,
    )
    clearTimeout(timer)
    const stopped = reader.stop()
    this.leaving.add(stopped)
    void stopped.finally(() => this.leaving.delete(stopped))
  }
}
