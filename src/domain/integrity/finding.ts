import type { WriteTx } from '../../storage/tables.ts'

/**
 * What to do where two places of the store do not say the same thing; one entry for each rule that is checked. A fault that can be
 * repaired says what the repair does.
 */
export const REMEDIES = {
  'segments-overlap': 'Delete one of both: DELETE /flows/{id}/segments with a timerange that covers it alone',
  'segment-place': 'Delete the segment, DELETE /flows/{id}/segments, and post it again',
  'segment-object': 'Delete the segments, or register the object again (POST /objects); clients cannot read them',
  'segments-of-nobody': 'Nobody sees them. Keep a backup, and report this: the program never leaves such rows',
  'flow-extent': '--repair sets it to what the segments of the flow say',
  'hidden-stretch': 'Segments stay invisible. Keep a backup, and report this: nothing works the stretch off',
  'flow-source': 'PUT the flow once more: that makes its source',
  'source-without-flow': 'DELETE /sources/{id}, or PUT /sources/{id} to keep it',
  'reference-count': '--repair counts the segments again',
  'object-unused': 'DELETE /objects/{id}: nothing refers to it, and its bytes take room',
  'object-state': 'Keep a backup, and report this: the record of the object contradicts itself',
  'instance-index': '--repair writes the index again from the record of the object',
  'copy-state': 'Remove the instance, DELETE /objects/{id}/instances, and add it again',
  'removal-in-use': '--repair takes the bytes off the list of those to be removed',
  'tag-rows': '--repair writes the rows that filters look at again from the record',
  'collection-rows': '--repair writes the memberships again from the flows that collect',
  'trash-mark': '--repair makes the mark agree with the deletion',
  'trash-of-nobody': 'It can be neither restored nor purged. Keep a backup, and report this',
  'deletion-state': 'Keep a backup, and report this: the record of the deletion contradicts itself',
  'webhook-cursor': '--repair makes the webhook go on with the events from now on',
  'delivery-of-nobody': '--repair removes it',
  'event-log': 'Receivers have missed events: have them read what they mirror anew',
  'work-waits': 'Start a service on this store, or look at the log of the one that runs: nobody does this work',
} as const

export type Rule = keyof typeof REMEDIES

/** Reads what it is about once more and puts it right; nothing where it is right by then. Safe beside a running service. */
export type Repair = (tx: WriteTx, nowUs: bigint) => Promise<void>

export interface Finding {
  readonly rule: Rule
  /** `note`: nothing is wrong with the rows. */
  readonly severity: 'fault' | 'note'
  /** What it is about: `flow 5d0c…`. */
  readonly subject: string
  readonly problem: string
  /** Absent where only a person can decide. */
  readonly repair?: Repair
}

export const fault = (rule: Rule, subject: string, problem: string, repair?: Repair): Finding => ({
  rule,
  severity: 'fault',
  subject,
  problem,
  ...(repair && { repair }),
})
