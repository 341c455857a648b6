import { exists, mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { scratchDirectory } from './scratch.ts'

/** A data directory with what `tams seed` makes. Kept. */
export const seededStore = async (segments: number, flows: number): Promise<string> => {
  const directory = path.join(await scratchDirectory(), `seed-${flows}-${segments}`)
  if (await exists(directory)) return directory
  const unfinished = `${directory}.part`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished)
  const child = Bun.spawn(
    [
      process.execPath,
      'run',
      'src/cli/tams.ts',
      'seed',
      '--flows',
      String(flows),
      '--segments',
      String(segments),
      '--until',
      '2026-11-21T00:00:00Z',
    ],
    {
      cwd: path.resolve(import.meta.dir, '../..'),
      env: { ...process.env, TAMS_DATA_DIR: unfinished },
      stdout: 'inherit',
      stderr: 'inherit',
    },
  )
  if ((await child.exited) !== 0) throw new Error('the store could not be filled')
  await rename(unfinished, directory)
  return directory
}
