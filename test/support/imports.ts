import { dirname, join } from 'node:path/posix'

/** A program as its files: path below the repository's root → text. */
export type Sources = ReadonlyMap<string, string>

export interface Import {
  readonly from: string
  /** A path below the root for a relative specifier, the specifier as written for a package. */
  readonly to: string
  readonly ours: boolean
  /** Gone at run time. It still ties the two files together. */
  readonly typeOnly: boolean
}

const BINDINGS = String.raw`(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?|[\w$]+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+[\w$]+))?)`
// Anchored at line starts, so that text in comments and strings is not taken for a statement.
const statement = new RegExp(String.raw`^(?:import|export)\s+(type\s+)?${BINDINGS}\s*from\s*['"]([^'"]+)['"]`, 'gm')
const typeExpression = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

const transpiler = new Bun.Transpiler({ loader: 'ts' })

/** Every import of every file. The transpiler knows what is left at run time; types are read from the text. */
export const importsOf = (sources: Sources): readonly Import[] => {
  const imports: Import[] = []
  for (const [from, source] of sources) {
    // The transpiler takes no `#!` line.
    const text = source.replace(/^#!.*/, '')
    const atRunTime = new Set(transpiler.scanImports(text).map(({ path }) => path))
    const inTypes = [...text.matchAll(statement)].filter(([, type]) => type !== undefined).map(([, , specifier]) => specifier ?? '')
    const others = [...text.matchAll(statement), ...text.matchAll(typeExpression)].map((match) => match.at(-1) ?? '')
    for (const specifier of new Set([...atRunTime, ...inTypes, ...others])) {
      const ours = specifier.startsWith('.')
      imports.push({ from, to: ours ? join(dirname(from), specifier) : specifier, ours, typeOnly: !atRunTime.has(specifier) })
    }
  }
  return imports
}

/** Each cycle of imports among files at run time, once, as the files on it. */
export const cyclesOf = (imports: readonly Import[]): readonly (readonly string[])[] => {
  const next = Map.groupBy(
    imports.filter(({ ours, typeOnly }) => ours && !typeOnly),
    ({ from }) => from,
  )
  const done = new Set<string>()
  const path: string[] = []
  const cycles: string[][] = []
  const visit = (file: string): void => {
    const start = path.indexOf(file)
    if (start >= 0) cycles.push([...path.slice(start), file])
    if (start >= 0 || done.has(file)) return
    path.push(file)
    for (const { to } of next.get(file) ?? []) visit(to)
    path.pop()
    done.add(file)
  }
  for (const file of next.keys()) visit(file)
  return cycles
}
