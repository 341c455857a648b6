import { authentication } from './requirements/authentication.ts'
import { common } from './requirements/common.ts'
import { crossResource } from './requirements/cross-resource.ts'
import { events } from './requirements/events.ts'
import { flows } from './requirements/flows.ts'
import { objects } from './requirements/objects.ts'
import type { Line, Sections } from './requirements/section.ts'
import { segments } from './requirements/segments.ts'
import { service } from './requirements/service.ts'
import { sources } from './requirements/sources.ts'
import { time } from './requirements/time.ts'

export type Level = 'MUST' | 'SHOULD'

/** One MUST or SHOULD of the specification, and why it is not met where it is not. */
export interface Requirement {
  /** Section, level, place in the section: `6.2-M4`. Tests carry it in their names as `[6.2-M4]`. */
  readonly id: string
  readonly section: string
  readonly level: Level
  readonly statement: string
  readonly note?: string
  /** Why the service does not do it; absent when it does. */
  readonly unmet?: string
}

/** In the order of the specification. */
export const sections: Sections = {
  ...common,
  ...time,
  ...service,
  ...sources,
  ...flows,
  ...segments,
  ...objects,
  ...events,
  ...crossResource,
  ...authentication,
}

/** Tables of the specification without a level word, held as wholes: their tests carry the letter. */
export const appendices: Readonly<Record<string, string>> = {
  A: 'Headers of each listing',
  B: 'Status codes of each operation. Besides, the test app refuses every answer whose status is not in the table.',
  C: 'Time ranges: how each text is read, what overlaps and what covers',
}

/** Sections by number: objects order whole-number keys before others, the specification does not. */
export const sectionNumbers: readonly string[] = Object.keys(sections).sort((a, b) => {
  const [[major = 0, minor = 0] = [], [otherMajor = 0, otherMinor = 0] = []] = [a, b].map((number) => number.split('.').map(Number))
  return major - otherMajor || minor - otherMinor
})

const requirement = (section: string, level: Level, line: Line, index: number): Requirement => ({
  id: `${section}-${level.charAt(0)}${index + 1}`,
  section,
  level,
  ...(typeof line === 'string' ? { statement: line } : line),
})

export const requirements: readonly Requirement[] = sectionNumbers.flatMap((number) => [
  ...(sections[number]?.must ?? []).map((line, index) => requirement(number, 'MUST', line, index)),
  ...(sections[number]?.should ?? []).map((line, index) => requirement(number, 'SHOULD', line, index)),
])
