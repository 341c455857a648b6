import { rm } from 'node:fs/promises'
import { timestampNs } from '../../core/timestamp.ts'
import { CliError } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import { inOrder } from '../in-order.ts'
import { nsToTicks, PACKET_SIZE, Retimer } from '../media/mpegts.ts'
import { showProgress } from '../progress.ts'
import type { GetUrl, Segment } from '../tams-types.ts'
import type { Part } from './run.ts'

const TRANSPORT_STREAM = 'video/mp2t'

export interface JoinOptions {
  /** What is at `originNs` of the flow's timeline gets the time 0 in the file. */
  readonly originNs: bigint
  readonly path: string
  readonly concurrency: number
}

/**
 * Downloads the objects of a flow side by side and puts them behind each other into one file, in the order of the timeline.
 * Transport streams get the times of the flow's timeline, so that gaps and the distance between sound and picture stay as they
 * are. Objects with initialisation objects (fragmented MP4) follow these and keep their own times.
 */
export const joinObjects = async (client: TamsClient, { flow, segments }: Part, options: JoinOptions): Promise<string> => {
  const isTransportStream = flow.container === TRANSPORT_STREAM
  if (!isTransportStream && !segments.every(({ init_object }) => init_object)) {
    throw new CliError(
      `flow ${flow.id} holds ${flow.container ?? 'no known container'}: only ${TRANSPORT_STREAM} and objects with init objects can be joined`,
    )
  }
  const sink = Bun.file(options.path).writer()
  const retimer = new Retimer()
  const progress = showProgress(flow.label ?? flow.id, segments.length)
  let [number, done, bytes] = [0, 0, 0]
  let initialised: string | undefined
  const fetchObject = async (segment: Segment) => {
    const path = `${options.path}.${number++}`
    return { segment, path, size: await client.download(segment.object_id, urlsOf(segment.get_urls), path) }
  }
  try {
    for await (const batch of inOrder(segments, fetchObject, { concurrency: options.concurrency, window: 2 * options.concurrency })) {
      for (const { segment, path, size } of batch) {
        const init = segment.init_object
        if (init && init.object_id !== initialised) {
          const initPath = `${options.path}.init`
          await client.download(init.object_id, urlsOf(init.get_urls), initPath)
          await append(sink, initPath, () => {})
          initialised = init.object_id
        }
        const delta = nsToTicks((timestampNs(segment.ts_offset ?? '0:0') ?? 0n) - options.originNs)
        await append(sink, path, isTransportStream ? (packets) => retimer.retime(packets, delta) : () => {})
        retimer.nextObject()
        await rm(path)
        done++
        bytes += size
      }
      progress.update(done, bytes)
    }
  } finally {
    progress.stop()
    await sink.end()
  }
  return options.path
}

const urlsOf = (urls: readonly GetUrl[] | undefined): readonly string[] => (urls ?? []).map(({ url }) => url)

/** Copies a file to the end of another through `change`, which gets whole transport stream packets. */
const append = async (sink: Bun.FileSink, path: string, change: (bytes: Uint8Array) => void): Promise<void> => {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of Bun.file(path).stream()) {
    const bytes = rest.length === 0 ? chunk.slice() : Buffer.concat([rest, chunk])
    const whole = bytes.length - (bytes.length % PACKET_SIZE)
    rest = bytes.slice(whole)
    const packets = bytes.subarray(0, whole)
    change(packets)
    sink.write(packets)
    await sink.flush()
  }
  if (rest.length > 0) sink.write(rest)
}
