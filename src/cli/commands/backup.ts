import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import type { Manifest } from '../../open-backup.ts'
import { say } from '../cli-error.ts'
import { formatTable } from '../table.ts'

interface Flags {
  readonly link: boolean
  readonly verify: boolean
  readonly json: boolean
}

const BACKUP_HELP = `
Copies the embedded store in TAMS_DATA_DIR while a service goes on with it: one snapshot of the index, and every object that it refers
to. TARGET is a new directory, which is there when it is whole; broken off, the same command goes on. It holds the secret of the
service: keep it as safe as the store. Media in S3 are not copied, only counted. docs/OPERATIONS.md has the details.

Examples:
  tams backup /mnt/backup/2026-11-21 --verify
  tams backup ./before-upgrade --link`

const RESTORE_HELP = `
TAMS_DATA_DIR names the new data directory: not there yet, or empty. The store is there when all of it has been copied and looked at;
broken off, the same command goes on.

Examples:
  TAMS_DATA_DIR=/srv/tams tams restore /mnt/backup/2026-11-21 --verify`

export const backupCommand = (program: Command): void => {
  withFlags(
    program
      .command('backup')
      .description('copy the embedded store, also while it serves')
      .argument('<target>', 'a directory that is not there yet'),
  )
    .addHelpText('after', BACKUP_HELP)
    .action(async (target: string, flags: Flags) => {
      const { backUp } = await import('../../open-backup.ts')
      const manifest = await interruptible((signal) => backUp(readConfig(process.env), target, { ...flags, signal, onStep: say }))
      print(manifest, flags)
      say(`Done: ${target} is whole${flags.verify ? ', and every byte of it was read' : ''}`)
    })
}

export const restoreCommand = (program: Command): void => {
  withFlags(
    program
      .command('restore')
      .description('make an embedded store of a backup')
      .argument('<source>', 'a directory that "tams backup" has made'),
  )
    .addHelpText('after', RESTORE_HELP)
    .action(async (source: string, flags: Flags) => {
      const { restoreBackup } = await import('../../open-backup.ts')
      const config = readConfig(process.env)
      const manifest = await interruptible((signal) => restoreBackup(config, source, { ...flags, signal, onStep: say }))
      print(manifest, flags)
      say(`Done: ${config.dataDir} is the store of ${manifest.made}`)
    })
}

const withFlags = (command: Command): Command =>
  command
    .option('--link', 'hard links instead of copies where both are on one file system: quick, and lost with the same disk', false)
    .option('--verify', 'read every byte of the result and compare it with its checksum', false)
    .option('--json', 'print the result as JSON', false)

const interruptible = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const stopping = new AbortController()
  const stop = () => stopping.abort(new Error('interrupted; the same command goes on from here'))
  process.once('SIGINT', stop)
  try {
    return await work(stopping.signal)
  } finally {
    process.off('SIGINT', stop)
  }
}

const print = (manifest: Manifest, { json }: Flags): void => {
  if (json) {
    console.log(JSON.stringify(manifest, undefined, 2))
    return
  }
  const rows = manifest.media.map(({ storage_id, objects, bytes, without }) => [
    storage_id,
    String(objects),
    String(bytes),
    String(without),
  ])
  console.log(formatTable(['storage backend', 'objects', 'bytes', 'records without bytes'], rows))
  for (const { storage_id, records } of manifest.elsewhere)
    say(`${records} records have their bytes in ${storage_id}, which is not part of it`)
}
