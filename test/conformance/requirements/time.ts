import type { Sections } from './section.ts'

export const time: Sections = {
  '2.1': {
    title: 'Timestamp',
    must: [
      'The form is seconds, colon, nanoseconds, with an optional minus sign',
      'No leading zeros; the part behind the colon counts nanoseconds and is no fraction',
      'At most 999999999 nanoseconds; no plus sign, blanks or decimal point',
      'The sign is that of the whole value; -0:0 equals 0:0',
    ],
    should: [
      {
        statement: 'The range of PTP (48 bits of seconds) at full resolution',
        unmet:
          'Time is kept as signed 64-bit nanoseconds: ±292 years around the origin of a timeline. Larger values are refused in bodies, with the reason, and clamped in queries.',
      },
      'What was written comes back as the same instant',
    ],
  },
  '2.2': {
    title: 'Time range',
    must: [
      'Square brackets include their bound, round ones exclude it',
      '_ is eternity; a missing start or end is unbounded',
      '() is the empty range',
      '[t] is the instant t, the same as [t_t]; a bare t means that too',
      'A marker beside a missing timestamp means nothing and is accepted',
      'An end before the start, or a bound excluded from an instant, is an empty range and no error',
      'A segment includes its start; its end is excluded when samples have a duration, included when not',
      'A query value that is no time range is 400 for flows, one flow, listed and deleted segments',
      {
        statement: 'Inclusivity counts in overlap, order and coverage',
        note: 'Ranges are half-open integer nanoseconds: [2:0] is 2 s up to 2 s + 1 ns.',
      },
      'The empty range overlaps nothing, eternity everything that is not empty',
    ],
  },
}
