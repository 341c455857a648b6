import { expect } from 'bun:test'
import { eq } from '../../../src/core/predicate.ts'
import { allocationSweepWorker } from '../../../src/workers/allocation-sweep.ts'
import { deletionWorker } from '../../../src/workers/deletion-requests.ts'
import { purgeWorker } from '../../../src/workers/purge.ts'
import { restoreWorker } from '../../../src/workers/restores.ts'
import type { TestApp } from '../app.ts'
import { multiFlow, uuid, videoFlow } from '../fixtures.ts'
import { runUntilIdle, step } from '../workers.ts'
import { FLOWS, hasContainer, type Model, type ModelRow, SOURCES, sourceOf } from './model.ts'

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)

/** The service, with ids of its own for each run, so that many runs share one store. */
export class Real {
  readonly flowIds = times(FLOWS, uuid)
  readonly sourceIds = times(SOURCES, uuid)
  private readonly run = uuid()

  constructor(readonly app: TestApp) {}

  flow(index: number): string {
    return this.flowIds[index] ?? ''
  }

  object(name: string): string {
    return `${name}/${this.run}`
  }

  async call(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }> {
    const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await this.app.fetch(`http://localhost${path}`, { method, ...init })
    const text = await response.text()
    expect(response.status).toBeLessThan(500)
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  flowBody(index: number, label: string | undefined, tags: object, collection: readonly number[]): unknown {
    const members = {
      id: this.flow(index),
      source_id: this.sourceIds[sourceOf(index)],
      label,
      tags,
      flow_collection: this.members(collection),
    }
    return hasContainer(index) ? videoFlow(members) : multiFlow(members)
  }

  members(collection: readonly number[]): { id: string }[] {
    return collection.map((member) => ({ id: this.flow(member) }))
  }

  async sweep(): Promise<void> {
    this.app.clock.advance(2 * 3600)
    await runUntilIdle(this.app.deps, allocationSweepWorker(this.app.deps))
  }

  async workOff(): Promise<void> {
    await runUntilIdle(this.app.deps, deletionWorker(this.app.deps, 3))
    await runUntilIdle(this.app.deps, restoreWorker(this.app.deps, 3))
  }

  /** Allocations lapse with the time that this takes. */
  async purge(): Promise<void> {
    await this.workOff()
    await this.sweep()
    await runUntilIdle(this.app.deps, purgeWorker({ ...this.app.deps, retentionMs: 0 }, 3))
  }

  /** One step of the worker; the rows it took are those that the model is told of, and they must have been hidden. */
  async workOneStep(model: Model): Promise<void> {
    await step(this.app.deps, deletionWorker(this.app.deps, 2))
    const gone: ModelRow[] = []
    for (let flow = 0; flow < FLOWS; flow++) {
      const where = eq('flow_id', this.flow(flow))
      const { rows } = await this.app.deps.tables.read((tx) => tx.list('segments', { where, limit: 1000 }))
      const left = new Map<string, number>()
      for (const row of rows) {
        const key = `${row.start_ns / 1_000_000_000n} ${row.object_id}`
        left.set(key, (left.get(key) ?? 0) + 1)
      }
      // A flow made again may have the same row twice: once live, once to be worked off.
      for (const row of model.rows
        .filter((item) => item.flow === flow)
        .sort((a, b) => Number(a.hidden) - Number(b.hidden) || b.timeline - a.timeline)) {
        const key = `${row.start} ${this.object(row.object)}`
        const count = left.get(key) ?? 0
        if (count > 0) left.set(key, count - 1)
        else gone.push(row)
      }
    }
    expect(gone.filter((row) => !row.hidden && !row.condemned)).toEqual([])
    expect(gone.length).toBeLessThanOrEqual(2)
    model.drop(gone)
  }
}
