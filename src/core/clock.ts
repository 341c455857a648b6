/** Time and identity are dependencies, so that tests can fix them. */
export interface Clock {
  /** Microseconds since the Unix epoch; never goes backwards within a process. */
  nowUs(): bigint
}

export const systemClock = (): Clock => {
  let last = 0n
  return {
    nowUs() {
      const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000))
      last = now > last ? now : last + 1n
      return last
    },
  }
}

/** `YYYY-MM-DDTHH:MM:SSZ`: published clients parse nothing finer in resources. */
export const toSeconds = (us: bigint): string => `${new Date(Number(us / 1000n)).toISOString().slice(0, 19)}Z`

/** RFC 3339 with microseconds, for `event_timestamp`, `expiry` and error times. */
export const toMicroseconds = (us: bigint): string => {
  const iso = new Date(Number(us / 1000n)).toISOString()
  return `${iso.slice(0, 23)}${String(us % 1000n).padStart(3, '0')}Z`
}
