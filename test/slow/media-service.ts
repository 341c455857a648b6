import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ServiceProcess, startService, TAMS } from '../support/service-process.ts'

export { TAMS }

/** What the tests of real media share: ffmpeg, the command line and a service in processes of their own. */
export const FFMPEG = ['ffmpeg', '-hide_banner', '-loglevel', 'error', '-nostdin', '-y']
export const MINUTE = 60_000

export const hasFfmpeg = Bun.which('ffmpeg') !== null && Bun.which('ffprobe') !== null

interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export const run = async (command: readonly string[]): Promise<Finished> => {
  const child = Bun.spawn([...command], { stdout: 'pipe', stderr: 'pipe', stdin: 'ignore' })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, stdout, stderr }
}

export const succeed = async (command: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await run(command)
  if (code !== 0) throw new Error(`${command.join(' ')} gave ${code}: ${stderr}`)
  return stdout
}

/** Hashes of the decoded frames of the first stream of a kind, in order; throws when the decoder complains of anything. */
export const frameHashes = async (path: string, stream: 'v' | 'a' = 'v'): Promise<string[]> => {
  const command = [...FFMPEG, '-i', path, '-map', `0:${stream}:0`, '-f', 'framemd5', '-']
  const { code, stdout, stderr } = await run(command)
  if (code !== 0 || stderr !== '') throw new Error(`${command.join(' ')} gave ${code}: ${stderr}`)
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)?.trim() ?? '')
}

export interface IngestedFlow {
  readonly id: string
  readonly source_id: string
  readonly format: string
  readonly timerange: string
  readonly segments: number
  readonly uploaded: number
}

/** A service with a scratch directory, and the commands that use them. */
export class MediaBench {
  private constructor(
    readonly dir: string,
    private service: ServiceProcess,
  ) {}

  static async open(): Promise<MediaBench> {
    const dir = await mkdtemp(join(tmpdir(), 'tams-slow-'))
    return new MediaBench(dir, await startService(join(dir, 'data')))
  }

  get url(): string {
    return this.service.url
  }

  async restart(): Promise<void> {
    await this.service.end('SIGTERM')
    this.service = await startService(join(this.dir, 'data'))
  }

  async close(): Promise<void> {
    await this.service.end('SIGTERM')
    await rm(this.dir, { recursive: true })
  }

  async make(name: string, ...options: string[]): Promise<string> {
    const path = join(this.dir, name)
    await succeed([...FFMPEG, ...options, path])
    return path
  }

  async ingest(file: string, ...options: string[]): Promise<readonly IngestedFlow[]> {
    const output = await succeed([...TAMS, 'ingest', file, '--url', this.url, '--json', ...options])
    return (JSON.parse(output) as { readonly flows: readonly IngestedFlow[] }).flows
  }

  async exported(flow: string, name: string, ...options: string[]): Promise<string> {
    const path = join(this.dir, name)
    await succeed([...TAMS, 'export', flow, path, '--url', this.url, '--force', ...options])
    return path
  }
}

export const ofFormat = (flows: readonly IngestedFlow[], format: string): IngestedFlow => {
  const found = flows.find((flow) => flow.format.endsWith(format))
  if (!found) throw new Error(`no ${format} flow was made`)
  return found
}

export const picture = (size: string, rate: string): string[] => ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}`]
export const tone = (rate: number): string[] => ['-f', 'lavfi', '-i', `sine=frequency=440:sample_rate=${rate}`, '-ac', '2']
