export interface Settings {
  /** Of one run. */
  readonly seconds: number
  /** Runs of each program. */
  readonly rounds: number
  /** Arguments that are numbers. */
  readonly numbers: readonly number[]
  /** Milliseconds to add to every sync of a file. */
  readonly syncDelayMs: number
}

/** From the command line: `--seconds 5 --rounds 3 --sync-delay 2`, and numbers that mean what the benchmark says. */
export const settings = (argv: readonly string[] = process.argv.slice(2)): Settings => {
  const given = { '--seconds': 4, '--rounds': 3, '--sync-delay': 0 }
  const numbers: number[] = []
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const isOption = Object.hasOwn(given, word)
    const value = Number(isOption ? argv[++i] : word)
    if (!Number.isFinite(value)) throw new Error(`${word}: expected a number, or one of ${Object.keys(given).join(', ')} with one`)
    if (isOption) given[word as keyof typeof given] = value
    else numbers.push(value)
  }
  return { seconds: given['--seconds'], rounds: given['--rounds'], syncDelayMs: given['--sync-delay'], numbers }
}
