/**
 * Settles in the next turn of the event loop. Works that were waiting for one answer go on in the same turn: what they ask for next belongs together.
 */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
