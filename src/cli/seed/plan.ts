import { CliError } from '../cli-error.ts'
import { type Format, type Technical, technicalOf } from './essences.ts'
import { Random } from './random.ts'

export interface SeedOptions {
  readonly flows: number
  /** In all flows together. */
  readonly segments: number
  readonly sources: number
  /** 1 as an ingest makes them; more for long objects of which each segment is a part. */
  readonly segmentsPerObject: number
  /** How far back creation times go. */
  readonly days: number
  readonly seed: string
  /** The latest creation time, in microseconds since the Unix epoch. */
  readonly untilUs: bigint
}

export interface PlannedSource {
  readonly id: string
  readonly number: number
  readonly format: Format
  readonly label: string | undefined
  readonly tags: Readonly<Record<string, string | readonly string[]>>
}

export interface PlannedFlow {
  readonly id: string
  readonly number: number
  readonly timelineId: string
  readonly source: PlannedSource
  /** It is the first one of its source, which comes into being with it. */
  readonly makesSource: boolean
  readonly technical: Technical
  readonly label: string | undefined
  readonly tags: PlannedSource['tags']
  readonly status: string | null
  readonly createdUs: bigint
  readonly segments: number
  /** Wanted seconds of a segment. */
  readonly segmentSeconds: number
  /** Uses the objects of this flow from the beginning instead of objects of its own. */
  readonly donor: PlannedFlow | undefined
  /** Of a multi flow, in the order of their sources. */
  readonly collects: readonly PlannedFlow[]
}

const FORMATS: readonly [Format, ...Format[]] = ['video', 'audio', 'multi', 'data', 'image']
/** After one of each, in these shares of 20. */
const MIX: readonly [Format, ...Format[]] = [
  ...(['video', 'video', 'video', 'video', 'video', 'video', 'video', 'video', 'video'] as const),
  ...(['audio', 'audio', 'audio', 'audio', 'audio', 'audio', 'multi', 'multi', 'multi', 'data', 'image'] as const),
]
const GENRES = ['news', 'sport', 'drama', 'music', 'nature'] as const
const QUALITIES = ['contribution', 'web', 'broadcast'] as const
const LANGUAGES = ['en', 'de', 'fr', 'cy'] as const

/** Shares of flows that use the objects of another one, and of flows that wait for content. */
const EDITS = 0.03
const WAITING = 0.02
const MAX_MEMBERS = 4
const US_PER_DAY = 86_400e6

/** What is to be made, in the order in which it is to be written: donors before their users, members before what collects them. */
export const planSeed = (options: SeedOptions): readonly PlannedFlow[] => {
  if (options.sources > options.flows) throw new CliError(`${options.sources} sources need as many flows; there are ${options.flows}`)
  const random = new Random(`${options.seed}/plan`)
  const sources = Array.from({ length: options.sources }, (_, number) => planSource(number, random))
  const drafts = Array.from({ length: options.flows }, (_, number) => {
    // The first flows make the sources; later ones are spread unevenly, as some sources have many renditions.
    const index = number < sources.length ? number : Math.floor(sources.length * random.fraction() ** 2)
    return { number, source: sources[index] ?? planSource(0, random), makesSource: number < sources.length }
  })
  const weights = drafts.map(({ number, source }) => (source.format === 'multi' ? 0 : weigh(number, random)))
  const counts = apportion(options.segments, weights)
  // Oldest first: the time-ordered ids of the objects then come nearly in order, which is what stores are quickest with.
  const ages = drafts.map(() => random.fraction() * options.days * US_PER_DAY).toSorted((a, b) => b - a)
  const flows: PlannedFlow[] = []
  // Multi flows come last, but for the sources that they make.
  const order = [...drafts.filter(({ source }) => source.format !== 'multi'), ...drafts.filter(({ source }) => source.format === 'multi')]
  for (const [i, draft] of order.entries()) {
    const createdUs = options.untilUs - BigInt(Math.floor(ages[i] ?? 0))
    flows.push(planFlow({ ...draft, createdUs, segments: counts[draft.number] ?? 0 }, flows, random))
  }
  return flows
}

const planSource = (number: number, random: Random): PlannedSource => {
  const format = FORMATS[number] ?? random.pick(MIX)
  return {
    id: random.uuid(),
    number,
    format,
    label: random.chance(0.95) ? `${random.pick(GENRES)} ${format} ${number}` : undefined,
    tags: { genre: random.pick(GENRES) },
  }
}

const weigh = (number: number, random: Random): number => (number > 0 && random.chance(WAITING) ? 0 : 1 / (0.05 + random.fraction()))

/** Splits `total` in proportion to the weights, exactly. */
const apportion = (total: number, weights: readonly number[]): number[] => {
  const sum = weights.reduce((a, b) => a + b, 0)
  let before = 0
  return weights.map((weight) => {
    const from = Math.round((total * before) / sum)
    before += weight
    return (before >= sum * (1 - 1e-12) ? total : Math.round((total * before) / sum)) - from
  })
}

type Draft = Pick<PlannedFlow, 'number' | 'source' | 'makesSource' | 'createdUs' | 'segments'>

const planFlow = (draft: Draft, before: readonly PlannedFlow[], random: Random): PlannedFlow => {
  const { source, segments } = draft
  const donor = random.chance(EDITS) ? findDonor(source.format, segments, before, random) : undefined
  const quality = random.pick(QUALITIES)
  const waits = segments === 0 && source.format !== 'multi'
  return {
    ...draft,
    id: random.uuid(),
    timelineId: random.hex(16),
    technical: donor?.technical ?? technicalOf(source.format, random),
    label: source.label === undefined ? undefined : `${source.label} ${quality}`,
    tags: { input_quality: quality, ...(random.chance(0.3) ? { language_code: [random.pick(LANGUAGES), random.pick(LANGUAGES)] } : {}) },
    status: waits ? 'awaiting_content' : random.pick(['closed_complete', 'closed_complete', 'ingesting', null]),
    segmentSeconds: donor?.segmentSeconds ?? random.pick([2, 2, 4, 6, 10]),
    donor,
    collects: source.format === 'multi' ? pickMembers(before, random) : [],
  }
}

const findDonor = (format: Format, share: number, before: readonly PlannedFlow[], random: Random): PlannedFlow | undefined => {
  for (let tried = 0; tried < 20 && before.length > 0; tried++) {
    const candidate = before[random.below(before.length)]
    if (candidate && candidate.source.format === format && !candidate.donor && share > 0 && candidate.segments >= share) return candidate
  }
  return undefined
}

/** Flows of different sources, by the number of these: so no two flows of one source contradict each other in the order. */
const pickMembers = (before: readonly PlannedFlow[], random: Random): PlannedFlow[] => {
  const members = new Map<number, PlannedFlow>()
  for (let tried = 0; tried < MAX_MEMBERS && before.length > 0; tried++) {
    const flow = before[random.below(before.length)]
    if (flow && (flow.source.format === 'video' || flow.source.format === 'audio')) members.set(flow.source.number, flow)
  }
  return [...members.values()].toSorted((a, b) => a.source.number - b.source.number)
}
