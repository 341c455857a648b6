import path from 'node:path'
import { scratchDirectory } from './scratch.ts'

/** The environment in which a program's syncs take `delayMs` longer. Needs a C compiler, unless there is no delay. */
export const slowSync = async (delayMs: number): Promise<Readonly<Record<string, string>>> => {
  if (delayMs === 0) return {}
  const library = path.join(await scratchDirectory(), 'slow-sync.so')
  const source = path.join(import.meta.dir, 'slow-sync.c')
  const compiler = Bun.spawnSync(['cc', '-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'])
  if (compiler.exitCode !== 0) throw new Error(`cc: ${compiler.stderr.toString()}`)
  return { LD_PRELOAD: library, SYNC_DELAY_US: String(Math.round(delayMs * 1000)) }
}
