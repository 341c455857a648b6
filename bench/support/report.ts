import type { Compared } from './alternate.ts'
import { machine } from './machine.ts'

/** One line of a table. What does not apply is left out. */
export interface Result {
  readonly what: string
  readonly figure: string
  /** What the figure is compared with, measured in the same run. */
  readonly baseline?: string
  readonly ratio?: string
  readonly p99?: string
  readonly target?: string
}

const HEAD: Readonly<Record<keyof Result, string>> = {
  what: 'what',
  figure: 'figure',
  baseline: 'baseline',
  ratio: 'ratio',
  p99: 'p99 ms (baseline)',
  target: 'target',
}

/** Prints a Markdown table below the machine it was measured on. */
export const report = (results: readonly Result[]): void => {
  const members = Object.keys(HEAD) as (keyof Result)[]
  const rule = Object.fromEntries(members.map((member) => [member, '---']))
  const lines = [HEAD, rule, ...results].map((line: Partial<Record<keyof Result, string>>) => members.map((member) => line[member] ?? ''))
  const widths = members.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  console.log(`\n${machine()}\n`)
  for (const line of lines) console.log(`| ${line.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`)
}

/** Whether a target is met, and the target. */
export const against = (value: number, target: number, direction: 'at least' | 'at most'): string => {
  const met = direction === 'at least' ? value >= target : value <= target
  return `${met ? 'met' : 'MISSED'} (${direction} ${target})`
}

export const whole = (value: number): string => Math.round(value).toLocaleString('en')
export const fixed = (value: number, digits = 2): string => value.toFixed(digits)

/** Figures of a comparison as members of a result. */
export const compared = ({ service, bare, ratio }: Compared): Required<Pick<Result, 'figure' | 'baseline' | 'ratio' | 'p99'>> => ({
  figure: `${whole(service.requestsPerSecond)}/s`,
  baseline: `${whole(bare.requestsPerSecond)}/s`,
  ratio: fixed(ratio),
  p99: `${fixed(service.p99Ms, 1)} (${fixed(bare.p99Ms, 1)})`,
})
