import { operations } from './operations.ts'

/** The `detail` of a route: which operation it is. Throws at start for an id that is not documented. */
export const operation = (operationId: string): { operationId: string; summary: string; tags: string[] } => {
  const documented = operations[operationId]
  if (!documented) throw new Error(`operation ${operationId} is not documented`)
  return { operationId, summary: documented.summary, tags: [documented.tag] }
}
