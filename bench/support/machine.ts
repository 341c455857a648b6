import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** One line for the head of a table: figures mean nothing without the machine. */
export const machine = (): string => {
  const cpus = os.cpus()
  const memory = Math.round(os.totalmem() / 2 ** 30)
  const load = os.loadavg()[0]?.toFixed(1)
  return `${new Date().toISOString().slice(0, 10)}, ${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown'}, ${memory} GiB, ${os.type()} ${os.release()}, Bun ${Bun.version}, load ${load}`
}

const SYNCS = 101

/** Median milliseconds that one `fdatasync` takes behind a 4 KiB write below `directory`. */
export const syncLatencyMs = (directory: string): number => {
  const file = path.join(directory, `.sync-${process.pid}`)
  const descriptor = openSync(file, 'w')
  const page = new Uint8Array(4096)
  const times: number[] = []
  try {
    for (let i = 0; i < SYNCS; i++) {
      writeSync(descriptor, page)
      const began = performance.now()
      fdatasyncSync(descriptor)
      times.push(performance.now() - began)
    }
  } finally {
    closeSync(descriptor)
    rmSync(file)
  }
  return median(times)
}

/** Of an even number of values the mean of the two in the middle: the upper one alone would flatter. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.slice((sorted.length - 1) >> 1, (sorted.length >> 1) + 1)
  return middle.reduce((a, b) => a + b, 0) / middle.length
}

/** CPU time that a process has spent so far, its threads together, in milliseconds; in steps of 10. Linux only. */
export const processCpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}
