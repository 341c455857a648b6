import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'

/**
 * Numbers for commits that grow along every chain of locks, whatever the clocks of the replicas say: each is larger than those that the commits
 * before it left in the lock rows it takes. (Near the time in microseconds, which is only a convenience.)
 */
export class Stamps {
  #last = 0n

  constructor(private readonly clock: Clock) {}

  /** @param seen Stamps of earlier commits under the same locks. */
  next(seen: readonly bigint[]): bigint {
    let highest = this.clock.nowUs()
    for (const stamp of [this.#last, ...seen]) if (stamp >= highest) highest = stamp + 1n
    this.#last = highest
    return highest
  }
}

/** Not above any id of this stamp or a later one, above all earlier ones. */
export const firstIdAt = (stamp: bigint): string => (stamp < 0n ? '' : stamp.toString(16).padStart(16, '0'))

/** Ids that sort by stamp, then by their place in the commit. No other commit has ids between two of one commit. */
export const commitIds = (stamp: bigint): ((place: number) => string) => {
  const commit = `${firstIdAt(stamp)}${randomBytes(8).toString('hex')}`
  return (place) => `${commit}${place.toString(16).padStart(8, '0')}`
}
