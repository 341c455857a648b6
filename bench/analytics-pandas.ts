/** The report `percentiles` against pandas, each in a process of its own, from the same file. */
import path from 'node:path'
import { against, fixed, type Result, whole } from './support/report.ts'

interface Run {
  readonly cold_ms: number
  readonly loaded_ms: number
  readonly peak_mib: number
  readonly row: Readonly<Record<string, unknown>>
}

export const besidePandas = async (directory: string): Promise<Result[]> => {
  const python = process.env.TAMS_BENCH_PYTHON
  if (!python) return [{ what: 'percentiles against pandas', figure: 'not measured', baseline: 'TAMS_BENCH_PYTHON is not set' }]
  const file = path.join(directory, 'tams.sqlite')
  // Once before, so that both read what the system has in memory.
  await output([process.execPath, 'run', path.join(import.meta.dir, 'analytics-report.ts'), directory, 'percentiles'])
  const theirs = await output([python, path.join(import.meta.dir, 'pandas/percentiles.py'), file])
  const ours = await output([process.execPath, 'run', path.join(import.meta.dir, 'analytics-report.ts'), directory, 'percentiles'])
  for (const [name, value] of Object.entries(theirs.row))
    if (Math.abs(Number(ours.row[name]) - Number(value)) > 1e-6 * Math.abs(Number(value)))
      throw new Error(`${name}: ${ours.row[name]} here and ${value} with pandas`)
  const times = (what: string, mine: number, other: number, target: number): Result => ({
    what,
    figure: `${whole(mine)} ms`,
    baseline: `${whole(other)} ms`,
    ratio: fixed(other / mine),
    target: against(other / mine, target, 'at least'),
  })
  return [
    times('percentiles, cold, against pandas from SQLite', ours.cold_ms, theirs.cold_ms, 3),
    times('percentiles, loaded, against pandas from Arrow in memory', ours.loaded_ms, theirs.loaded_ms, 1),
    {
      what: 'peak memory of percentiles against pandas from SQLite',
      figure: `${whole(ours.peak_mib)} MiB`,
      baseline: `${whole(theirs.peak_mib)} MiB`,
      ratio: fixed(ours.peak_mib / theirs.peak_mib),
      target: against(ours.peak_mib / theirs.peak_mib, 0.33, 'at most'),
    },
  ]
}

const output = async (command: readonly string[]): Promise<Run> => {
  const child = Bun.spawn([...command], { stderr: 'inherit' })
  const text = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`${command.join(' ')} failed`)
  return JSON.parse(text) as Run
}
