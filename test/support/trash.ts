import { deletionWorker } from '../../src/workers/deletion-requests.ts'
import { restoreWorker } from '../../src/workers/restores.ts'
import { type Answer, type Json, list, object, readAnswer } from './answers.ts'
import { origin, type TestApp } from './app.ts'
import { expectStatus } from './fixtures.ts'
import { runUntilIdle } from './workers.ts'

/** A request that the specification does not know, so that only its status is checked. */
export const call = async (app: TestApp, method: string, path: string, status: number, body?: unknown): Promise<Answer> => {
  const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return expectStatus(await readAnswer(await app.fetch(`${origin}${path}`, { method, ...init })), status)
}

export const deletions = async (app: TestApp, query = ''): Promise<Json[]> => list(await call(app, 'GET', `/deletions${query}`, 200))

/** The newest deletion of a record. */
export const deletionOf = async (app: TestApp, entityId: string): Promise<Json & { id: string }> => {
  const [first] = await deletions(app, `?entity_id=${entityId}&limit=1`)
  if (typeof first?.id !== 'string') throw new Error(`${entityId} has no deletion`)
  return { ...first, id: first.id }
}

export const restore = async (app: TestApp, path: string, status = 200): Promise<Json> => object(await call(app, 'POST', path, status))

/** Delete requests and restores, until nothing is left to do. */
export const workOff = async (app: TestApp, batch = 7, between: () => Promise<void> = async () => {}): Promise<void> => {
  await runUntilIdle(app.deps, deletionWorker(app.deps, batch), between)
  await runUntilIdle(app.deps, restoreWorker(app.deps, batch), between)
}
