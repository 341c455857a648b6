import { everything, isIn } from '../core/predicate.ts'
import type { Context } from '../domain/context.ts'
import type { Deps } from '../domain/deps.ts'
import { lastSeq } from '../domain/event-log.ts'
import { messageContext } from '../domain/event-render.ts'
import { EventWindow, type WindowRow } from '../domain/event-window.ts'
import { listAll } from '../domain/list-all.ts'
import { asksForCollectors, concerns, isCollectedAsAsked } from '../domain/webhook-filter.ts'
import { lastSeen, type ReadTx } from '../storage/tables.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { DeliveryPace } from './delivery-pace.ts'
import { saveProgress } from './delivery-records.ts'
import { afterFailure, isDelivered } from './delivery-schedule.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import type { Lease } from './lease.ts'
import { tryDelivery } from './webhook-request.ts'
import { WebhookState } from './webhook-state.ts'
import type { Worker } from './worker.ts'

export interface DeliveryDeps extends Deps {
  readonly request: GuardedFetch
  /** Where URLs of this service's own media begin. */
  readonly baseUrl: string
  /** From 0 to 1, for jitter. */
  readonly random?: () => number
  readonly pace?: DeliveryPace
  readonly observer?: DeliveryObserver
}

/** Told how deliveries go, in the process that does them. */
export type DeliveryObserver = Pick<Metrics, 'backlog' | 'webhookAttempt'>

/** How often the log is looked at, also while something is delivered: many events at one time cost less than each alone. */
const POLL_MS = 50
const SAVE_MS = 200
/** Webhooks of one transaction. */
const SAVED_AT_ONCE = 200
const KEEP_MS = 10_000
/** A webhook gives its place to the next after so long. */
const SLICE_MS = 500
const BATCH = 100
const TELL_MS = 5000
/** Passing over so many events of no concern is worth a write: it lets them be forgotten. */
const SKIPPED = 500n
const MANY = 1_000_000

/** A try that takes longer than this no longer counts among the healthy, so that dead receivers never hold up the others. */
const SLOW_MS = 2000
const HEALTHY = 64
const FAILING = 16
/** Below the 256 requests that the runtime has in flight at once. */
const ALL = 200
const PER_HOST = 16

/**
 * Delivers the log to all active webhooks: each in order, one request in flight, at least once. Where each has come to is kept in
 * `webhook_cursors`; what a killed process had sent but not written down is sent again.
 */
export const webhookDeliveryWorker = (deps: DeliveryDeps): Worker => {
  const deliveries = new Deliveries(deps)
  return { name: 'webhook-deliveries', intervalMs: POLL_MS, step: (lease, signal) => deliveries.step(lease, signal) }
}

class Deliveries {
  private readonly window: EventWindow
  private readonly context: Context
  private readonly pace: DeliveryPace
  /** In the order in which they get their turn. */
  private readonly states = new Map<string, WebhookState>()
  private readonly running = new Map<WebhookState, Promise<void>>()
  private lease: Lease | undefined
  private webhooksVersion: string | undefined
  private logVersion: string | undefined
  private end = 0n
  private savedMs = 0
  private keptMs = 0
  private toldMs = Number.NEGATIVE_INFINITY

  constructor(private readonly deps: DeliveryDeps) {
    this.window = new EventWindow(deps.tables)
    this.context = messageContext(deps.baseUrl)
    this.pace = deps.pace ?? new DeliveryPace()
  }

  /** Ends when no webhook has anything due. */
  async step(lease: Lease, signal: AbortSignal): Promise<boolean> {
    if (lease !== this.lease) this.begin(lease)
    const ending = new AbortController()
    const limit = AbortSignal.any([signal, ending.signal])
    let lookedMs = Number.NEGATIVE_INFINITY
    try {
      for (;;) {
        if (performance.now() - lookedMs >= POLL_MS) {
          lookedMs = performance.now()
          await this.refresh(lease)
          await this.tell()
        }
        if (!signal.aborted) this.startDue(limit)
        if (this.running.size === 0) break
        await this.somethingHappens(limit)
        if (performance.now() - this.savedMs >= SAVE_MS) await this.save(lease)
        if (signal.aborted) break
      }
    } finally {
      ending.abort()
      await Promise.allSettled(this.running.values())
    }
    await this.save(lease, signal.aborted)
    return false
  }

  private begin(lease: Lease): void {
    this.lease = lease
    this.states.clear()
    this.webhooksVersion = undefined
    this.logVersion = undefined
    this.keptMs = performance.now()
  }

  private async refresh(lease: Lease): Promise<void> {
    const { tables } = this.deps
    const webhooks = await lastSeen(tables, 'webhooks')
    if (webhooks !== this.webhooksVersion) {
      await this.save(lease)
      await tables.read((tx) => this.reload(tx))
      this.webhooksVersion = webhooks
    }
    // Without a webhook the log is nobody's business here.
    if (this.states.size === 0) return
    const log = await lastSeen(tables, 'event_log')
    if (log === this.logVersion) return
    this.end = await tables.read(lastSeq)
    this.logVersion = log
  }

  private async tell(): Promise<void> {
    const { observer, clock } = this.deps
    if (!observer || performance.now() - this.toldMs < TELL_MS) return
    this.toldMs = performance.now()
    let events = 0n
    let least: bigint | undefined
    for (const { position } of this.states.values()) {
      if (position >= this.end) continue
      events += this.end - position
      if (least === undefined || position < least) least = position
    }
    const oldest = least === undefined ? undefined : (await this.window.read(least, 1))[0]
    observer.backlog({ events: Number(events), oldestSeconds: oldest ? Number(clock.nowUs() - oldest.row.time) / 1e6 : 0 })
  }

  private async reload(tx: ReadTx): Promise<void> {
    const rows = await listAll(tx, 'webhooks', { where: isIn('status', ['created', 'started']), limit: MANY })
    const cursors = new Map((await listAll(tx, 'webhook_cursors', { where: everything, limit: MANY })).map((row) => [row.webhook_id, row]))
    const active = new Set(rows.map((row) => row.id))
    for (const [id, state] of this.states) if (!active.has(id)) this.drop(state)
    for (const row of rows) {
      const known = this.states.get(row.id)
      const cursor = cursors.get(row.id)
      if (!cursor || (known && known.row.updated === row.updated && known.verdict === undefined)) continue
      if (known) this.drop(known)
      this.states.set(row.id, new WebhookState(row, cursor))
    }
  }

  private drop(state: WebhookState): void {
    state.stale = true
    this.states.delete(state.row.id)
  }

  private startDue(signal: AbortSignal): void {
    const nowUs = this.deps.clock.nowUs()
    const nowMs = performance.now()
    const inFlight = [...this.running.keys()]
    let all = inFlight.length
    let failing = inFlight.filter((state) => state.failures > 0).length
    let healthy = inFlight.filter((state) => state.failures === 0 && nowMs - (state.tryingSinceMs ?? nowMs) < SLOW_MS).length
    const hosts = new Map<string, number>()
    const busy = new Set<string>()
    for (const { host, row } of inFlight) {
      hosts.set(host, (hosts.get(host) ?? 0) + 1)
      busy.add(row.id)
    }
    for (const state of [...this.states.values()]) {
      if (all >= ALL || (healthy >= HEALTHY && failing >= FAILING)) return
      if (state.position >= this.end || state.nextAttemptUs > nowUs || state.verdict || busy.has(state.row.id)) continue
      const onHost = hosts.get(state.host) ?? 0
      if (onHost >= PER_HOST || (state.failures > 0 ? failing >= FAILING : healthy >= HEALTHY)) continue
      all++
      if (state.failures > 0) failing++
      else healthy++
      hosts.set(state.host, onHost + 1)
      this.start(state, signal)
    }
  }

  private start(state: WebhookState, signal: AbortSignal): void {
    this.states.delete(state.row.id)
    this.states.set(state.row.id, state)
    const run = this.deliver(state, signal).finally(() => this.running.delete(state))
    // Its failure is seen by whoever waits for something to happen.
    run.catch(() => undefined)
    this.running.set(state, run)
  }

  private async somethingHappens(signal: AbortSignal): Promise<void> {
    let timer: Timer | undefined
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, POLL_MS)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([pause, ...this.running.values()])
    clearTimeout(timer)
  }

  private async deliver(state: WebhookState, signal: AbortSignal): Promise<void> {
    const until = performance.now() + SLICE_MS
    do {
      const rows = await this.window.read(state.position, BATCH)
      if (rows.length === 0) return
      for (const row of rows) {
        if (state.stale || signal.aborted) return
        if (!this.concerns(state, row) || !(await this.isCollected(state, row))) state.position = row.row.seq
        else if (!(await this.deliverOne(state, row, signal))) return
      }
    } while (state.position < this.end && performance.now() < until)
  }

  private named({ row: { type, flow_id, source_id } }: WindowRow) {
    return { type, flowId: flow_id ?? undefined, sourceId: source_id ?? undefined }
  }

  // Of most events this is all there is to ask, many thousand times a second.
  private concerns({ settings }: WebhookState, row: WindowRow): boolean {
    return concerns(settings, this.named(row))
  }

  private async isCollected({ settings }: WebhookState, row: WindowRow): Promise<boolean> {
    return !asksForCollectors(settings) || isCollectedAsAsked(settings, this.named(row), await row.collectedBy(this.deps.tables))
  }

  private async deliverOne(state: WebhookState, row: WindowRow, signal: AbortSignal): Promise<boolean> {
    const body = await row.text(this.deps, this.context, state.options, state.optionsKey)
    const { seq } = row.row
    await this.pace.turn(state.host, signal)
    if (state.stale || signal.aborted) return false
    state.tryingSinceMs = performance.now()
    try {
      const attempt = await tryDelivery(this.deps, state.row, { id: messageId(state.row.id, seq), body }, signal)
      this.deps.observer?.webhookAttempt(attempt.status)
      const nowUs = this.deps.clock.nowUs()
      state.note(seq, attempt, nowUs)
      if (isDelivered(attempt)) return true
      const verdict = afterFailure(attempt, state.failures, nowUs, this.deps.random ?? Math.random)
      if (verdict.kind === 'retry') state.nextAttemptUs = verdict.atUs
      else state.verdict = verdict
      return false
    } catch (error) {
      if (signal.aborted) return false
      throw error
    } finally {
      state.tryingSinceMs = undefined
    }
  }

  private async save(lease: Lease, all = false): Promise<void> {
    const now = performance.now()
    const worth = [...this.states.values()].filter(
      (state) => state.dirty || state.position - state.stored >= SKIPPED || (all && state.position > state.stored),
    )
    this.savedMs = now
    if (worth.length === 0 && now - this.keptMs < KEEP_MS) return
    for (let from = 0; from === 0 || from < worth.length; from += SAVED_AT_ONCE)
      await saveProgress(this.deps.tables, lease, worth.slice(from, from + SAVED_AT_ONCE))
    this.keptMs = now
  }
}

/** The same in every try of an event for a webhook. */
export const messageId = (webhookId: string, seq: bigint): string => `msg_${webhookId}_${seq}`
