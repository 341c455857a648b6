import type { KeyPlan, ScanSpec } from './scan-protocol.ts'
import { type KeyTerm, pinnedTerms, type ScanStatements } from './scan-statements.ts'
import type { SqlValue } from './table-info.ts'

// Enough for two workers to end together although ranges differ in size.
const RANGES = 64

/**
 * Shares out a scan that looks at all rows, by keys that are there; any other scan is one range. All ranges together hold every key,
 * wherever their bounds lie: these only make them more or less alike.
 */
export const planScan = (statements: ScanStatements, spec: ScanSpec): KeyPlan => {
  if (statements.isNarrowed()) return { kind: 'keys', pinned: [], bounds: [] }
  return { kind: 'keys', ...divide(statements, spec) }
}

const divide = (statements: ScanStatements, { key }: ScanSpec): Pick<KeyPlan, 'pinned' | 'bounds'> => {
  const pinned: SqlValue[] = []
  for (const [at, { kind }] of key.entries()) {
    const terms = pinnedTerms(pinned)
    const [least] = statements.first(at, at + 1, terms) ?? []
    const [greatest] = statements.first(at, at + 1, terms, 'desc') ?? []
    if (least === undefined || greatest === undefined) break
    if (least === greatest) {
      pinned.push(least)
      continue
    }
    if (typeof least === 'bigint' && typeof greatest === 'bigint') return { pinned, bounds: evenly(least, greatest) }
    if (kind === 'text') return { pinned, bounds: textBounds(statements, at, terms) }
    break
  }
  return { pinned: [], bounds: [] }
}

const evenly = (least: bigint, greatest: bigint): readonly bigint[] =>
  Array.from({ length: RANGES - 1 }, (_, i) => least + ((greatest - least) * BigInt(i + 1)) / BigInt(RANGES))

interface TextRange {
  readonly from: string | undefined
  readonly below: string | undefined
}

/** Texts are told apart by their next character, one after the other, until there are ranges enough. */
const textBounds = (statements: ScanStatements, at: number, pinned: readonly KeyTerm[]): readonly string[] => {
  let ranges: readonly TextRange[] = [{ from: undefined, below: undefined }]
  while (ranges.length < RANGES) {
    const finer = ranges.flatMap((range) => byNextCharacter(statements, at, pinned, range))
    if (finer.length === ranges.length) break
    ranges = finer
  }
  return ranges.flatMap(({ from }) => (from === undefined ? [] : [from]))
}

const byNextCharacter = (statements: ScanStatements, at: number, pinned: readonly KeyTerm[], range: TextRange): readonly TextRange[] => {
  const find = (from: string | undefined, order: 'asc' | 'desc'): string | undefined => {
    const terms: KeyTerm[] = [...pinned]
    if (from !== undefined) terms.push({ at, op: '>=', value: from })
    if (range.below !== undefined) terms.push({ at, op: '<', value: range.below })
    return statements.first(at, at + 1, terms, order)?.[0] as string | undefined
  }
  const least = find(range.from, 'asc')
  const greatest = find(range.from, 'desc')
  if (least === undefined || greatest === undefined || least === greatest) return [range]
  const common = commonBeginning(least, greatest)
  const bounds: (string | undefined)[] = [range.from]
  let text: string | undefined = least
  for (;;) {
    const next: string | undefined = after(common, text.codePointAt(common.length))
    text = next === undefined ? undefined : find(next, 'asc')
    if (text === undefined) break
    bounds.push(common + String.fromCodePoint(text.codePointAt(common.length) ?? 0))
  }
  return bounds.map((from, i) => ({ from, below: bounds[i + 1] ?? range.below }))
}

const commonBeginning = (a: string, b: string): string => {
  let length = 0
  while (length < a.length && a.codePointAt(length) === b.codePointAt(length)) length += (a.codePointAt(length) ?? 0) > 0xffff ? 2 : 1
  return a.slice(0, length)
}

/** The least text with another character behind `beginning`; undefined behind the last one. SQLite orders text by code points. */
const after = (beginning: string, character: number | undefined): string | undefined => {
  if (character === undefined) return `${beginning}\u0001`
  if (character >= 0x10ffff) return undefined
  return beginning + String.fromCodePoint(character === 0xd7ff ? 0xe000 : character + 1)
}
