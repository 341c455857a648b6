// Orders that are not of the protocol: `/_emulator/faults` (POST adds one fault or a list, GET lists, DELETE clears) and
// `/_emulator/requests` (GET counts by method and command, DELETE gives the counts and starts anew). Not signed.
import type { Fault, Faults } from './faults.ts'
import { badRequest, notFound } from './protocol-error.ts'

export const ADMIN = '/_emulator/'

export interface AdminState {
  readonly faults: Faults
  readonly requests: Map<string, number>
}

const addFaults = (faults: Faults, body: Uint8Array): void => {
  try {
    faults.add(...([JSON.parse(Buffer.from(body).toString())].flat(1) as Fault[]))
  } catch (cause) {
    throw badRequest(`no fault: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

/** The answer as a value for JSON. */
export const administer = ({ faults, requests }: AdminState, method: string, url: string, body: Uint8Array): unknown => {
  if (url === `${ADMIN}requests`) {
    const counts = Object.fromEntries(requests)
    if (method === 'DELETE') requests.clear()
    return counts
  }
  if (url !== `${ADMIN}faults`) throw notFound(`${url} is not known`)
  if (method === 'POST') addFaults(faults, body)
  if (method === 'DELETE') faults.clear()
  return faults.pending
}
