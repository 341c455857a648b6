import path from 'node:path'
import { VastClient } from '../../src/vastdb/index.ts'

const MAIN = path.resolve(import.meta.dir, '../../test/emulators/vast/main.ts')
const BUCKET = 'bench'

/** The emulator in a process of its own, so that its work and that of the client are told apart. It is not VAST: its speed says nothing of a cluster's. */
export interface EmulatorProgram {
  readonly url: string
  readonly pid: number
  readonly options: {
    readonly endpoints: readonly string[]
    readonly accessKey: string
    readonly secretKey: string
    readonly bucket: string
  }
  /** Variables with which the service uses it. */
  readonly env: Readonly<Record<string, string>>
  connect(): Promise<VastClient>
  /** Requests since the last call, by method and command; begins anew. */
  takeRequests(): Promise<Readonly<Record<string, number>>>
  stop(): Promise<void>
}

export const startEmulator = async ({ latencyMs = 0 } = {}): Promise<EmulatorProgram> => {
  const child = Bun.spawn([process.execPath, 'run', MAIN, '--port', '0', '--bucket', BUCKET, '--latency-ms', String(latencyMs)], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const url = await addressOf(child.stdout)
  const options = { endpoints: [url], accessKey: 'test', secretKey: 'test', bucket: BUCKET }
  return {
    url,
    pid: child.pid,
    options,
    env: { VAST_ENDPOINT: url, VAST_ACCESS_KEY: options.accessKey, VAST_SECRET_KEY: options.secretKey, VAST_BUCKET: BUCKET },
    connect: () => VastClient.connect(options),
    takeRequests: async () => (await fetch(`${url}/_emulator/requests`, { method: 'DELETE' })).json(),
    async stop() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

const addressOf = async (output: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> => {
  let text = ''
  for await (const part of output.pipeThrough(new TextDecoderStream())) {
    text += part
    const found = /endpoint +(http:\S+)/.exec(text)?.[1]
    if (found) return found
  }
  throw new Error(`the emulator did not start: ${text}`)
}
