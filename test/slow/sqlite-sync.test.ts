import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const directory = mkdtempSync(path.join(tmpdir(), 'tams-sync-'))
afterAll(() => rmSync(directory, { recursive: true }))

const compiler = process.platform === 'linux' ? Bun.which('cc') : null
if (!compiler) console.warn('skipped: counting syncs needs Linux and a C compiler (cc)')

// A killed process does not lose what the system still buffers, so only the system calls show that a commit is durable.
test.skipIf(!compiler)(
  'no write settles before the write-ahead log has been synced',
  async () => {
    const library = path.join(directory, 'sync-counter.so')
    const counter = path.join(directory, 'counter')
    writeFileSync(counter, new Uint8Array(8))
    const compiled = Bun.spawnSync([
      compiler ?? 'cc',
      '-shared',
      '-fPIC',
      '-O1',
      '-o',
      library,
      path.join(import.meta.dir, 'sync-counter.c'),
      '-ldl',
    ])
    expect(compiled.stderr.toString()).toBe('')
    const program = Bun.spawn(
      [process.execPath, path.join(import.meta.dir, 'sqlite-sync-program.ts'), path.join(directory, 'store.db'), counter],
      {
        env: { ...process.env, LD_PRELOAD: library, SYNC_COUNTER: counter },
        stdout: 'pipe',
        stderr: 'inherit',
      },
    )
    const counts = JSON.parse(await new Response(program.stdout).text()) as { readonly alone: number[]; readonly together: number[] }
    expect(await program.exited).toBe(0)
    expect(counts.alone).toHaveLength(20)
    for (const syncs of counts.alone) expect(syncs).toBeGreaterThanOrEqual(1)
    for (const syncs of counts.together) expect(syncs).toBeGreaterThanOrEqual(1)
    // Works that arrive together share syncs: far fewer than one each.
    expect(Math.max(...counts.together)).toBeLessThan(50)
  },
  240_000,
)
