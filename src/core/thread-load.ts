/** Gives how much of its time the calling thread has worked since it was asked last: from 0 to 1. */
export const threadLoad = (): (() => number) => {
  let [cpu, at] = [cpuUs(), performance.now()]
  return () => {
    const [cpuBefore, before] = [cpu, at]
    cpu = cpuUs()
    at = performance.now()
    return Math.min(1, (cpu - cpuBefore) / 1000 / Math.max(at - before, 0.001))
  }
}

const cpuUs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return user + system
}
