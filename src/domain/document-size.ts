import { invalid } from '../core/errors.ts'

/** A flow or source must fit into one cell of the event log, whatever its members; who collects it comes on top. */
const MAX_BYTES = 100 * 1024

/** Throws `invalid`. */
export const checkSize = (kind: 'flow' | 'source', document: object): void => {
  const own = { ...document, collected_by: undefined }
  const bytes = Buffer.byteLength(JSON.stringify(own))
  if (bytes > MAX_BYTES) throw invalid('body', `the ${kind} takes ${bytes} bytes as JSON; at most ${MAX_BYTES} can be stored`)
}
