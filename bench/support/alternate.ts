import { median } from './machine.ts'
import type { Program } from './program.ts'
import type { Figures } from './wrk.ts'

export interface Compared {
  readonly service: Figures
  readonly bare: Figures
  /** Requests per second of the service over those of the bare program. */
  readonly ratio: number
}

/** Runs of both programs in turn, so that what else happens on the machine meets both; medians of each. */
export const alternate = async (
  service: Program,
  bare: Program,
  rounds: number,
  measure: (program: Program, round: number) => Promise<Figures>,
): Promise<Compared> => {
  const runs: { readonly service: Figures; readonly bare: Figures }[] = []
  for (let round = 0; round < rounds; round++) runs.push({ service: await measure(service, round), bare: await measure(bare, round) })
  const of = (name: 'service' | 'bare'): Figures => {
    const take = (member: keyof Figures) => median(runs.map((run) => run[name][member]))
    return { requestsPerSecond: take('requestsPerSecond'), p50Ms: take('p50Ms'), p99Ms: take('p99Ms') }
  }
  const ratio = median(runs.map((run) => run.service.requestsPerSecond / run.bare.requestsPerSecond))
  return { service: of('service'), bare: of('bare'), ratio }
}
