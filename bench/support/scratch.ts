import { mkdir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

/** Where data sets are kept between runs: `TAMS_BENCH_DIR`, or `tams-bench` below the directory for temporary files. */
export const scratchDirectory = async (): Promise<string> => {
  const directory = process.env.TAMS_BENCH_DIR ?? path.join(os.tmpdir(), 'tams-bench')
  await mkdir(directory, { recursive: true })
  return directory
}
