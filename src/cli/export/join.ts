import { rm } from 'node:fs/promises'
import { timestampNs } from '../../core/timestamp.ts'
import { CliError } from '../cli-error.ts'
import type { TamsClient } from '../client.ts'
import { inOrder } from '../in-order.ts'
import type { Container } from '../media/essence.ts'
import { showProgress } from '../progress.ts'
import type { Flow, GetUrl, Segment } from '../tams-types.ts'
import { FragmentAppender } from './append-fragments.ts'
import { TransportStreamAppender } from './append-transport-stream.ts'

const TRANSPORT_STREAM = 'video/mp2t'

/** A flow whose segments go into the file. */
export interface Part {
  readonly flow: Flow
  readonly segments: readonly [Segment, ...Segment[]]
}

export interface JoinOptions {
  readonly container: Container
  /** What is at `originNs` of the flow's timeline gets the time 0 in the file. */
  readonly originNs: bigint
  readonly path: string
  readonly concurrency: number
}

/** The container that all segments of all parts share; throws where there is none that can be joined. */
export const commonContainer = (parts: readonly [Part, ...Part[]]): Container => {
  const containers = parts.map(containerOf)
  const [first] = containers
  if (first && containers.every((container) => container === first)) return first
  const held = parts.map(({ flow }) => `${flow.id} holds ${flow.container}`).join(', ')
  throw new CliError(`${held}: these cannot be joined into one file, export the flows one by one`)
}

const containerOf = ({ flow, segments }: Part): Container => {
  const fragmented = segments.filter(({ init_object }) => init_object).length
  if (fragmented === segments.length) return 'fmp4'
  if (fragmented > 0)
    throw new CliError(
      `flow ${flow.id} mixes segments with and without init objects: these cannot be joined, export the parts by --timerange`,
    )
  if (flow.container === TRANSPORT_STREAM) return 'mpegts'
  throw new CliError(
    `flow ${flow.id} holds ${flow.container ?? 'no known container'}: only ${TRANSPORT_STREAM} and objects with init objects can be joined`,
  )
}

/**
 * Downloads the objects of a flow side by side and puts them behind each other into one file, in the order of the timeline, with the
 * times of the flow's timeline, so that gaps and the distance between sound and picture stay as they are.
 */
export const joinObjects = async (client: TamsClient, { flow, segments }: Part, options: JoinOptions): Promise<string> => {
  const sink = Bun.file(options.path).writer()
  const fragments = options.container === 'fmp4' ? new FragmentAppender(sink) : undefined
  const appender = fragments ?? new TransportStreamAppender(sink)
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
        if (fragments && init && init.object_id !== initialised) {
          const initPath = `${options.path}.init`
          await client.download(init.object_id, urlsOf(init.get_urls), initPath)
          await fragments.begin(initPath)
          initialised = init.object_id
        }
        await appender.append(path, (timestampNs(segment.ts_offset ?? '0:0') ?? 0n) - options.originNs)
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
