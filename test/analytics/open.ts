import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Elysia } from 'elysia'
import { type AnalyticsDeps, analyticsRoutes, createAnalytics } from '../../analytics/routes.ts'
import type { Analytics } from '../../analytics/service.ts'
import { errors } from '../../api/plugins/errors.ts'
import { everything } from '../../src/core/predicate.ts'
import { tables as definitions, type TableName } from '../../src/storage/schema.ts'
import type { Tables } from '../../src/storage/tables.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { openTestTables } from '../support/engines.ts'
import type { Rows } from './model.ts'

export const NOW_US = BigInt(Date.UTC(2026, 10, 21, 8)) * 1000n

export type Json = Readonly<Record<string, unknown>>

export interface OpenAnalytics {
  readonly tables: Tables
  readonly analytics: Analytics
  /** Any failure that is none of the caller's. */
  readonly failures: readonly string[]
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** A JSON answer of status 200, below `/analytics`. */
  get(path: string): Promise<Json>
  rows(path: string): Promise<Json[]>
  /** The same on a socket of 127.0.0.1; gives the port. */
  listen(): number
  /** Replaces all that the store holds. */
  fill(rows: Rows): Promise<void>
  close(): Promise<void>
}

export const openAnalytics = async (
  options: AnalyticsDeps['options'] = {},
  wrap: (tables: Tables) => AnalyticsDeps['tables'] = (tables) => tables,
): Promise<OpenAnalytics> => {
  const root = await mkdtemp(path.join(tmpdir(), 'tams-analytics-'))
  const clock = { nowUs: () => NOW_US }
  const tables = await openTestTables({ directory: root, clock })
  const analytics = createAnalytics({ tables: wrap(tables), clock, options })
  const failures: string[] = []
  const log = createLog({ level: 'error', format: 'json', destination: { write: (line) => void failures.push(line) } })
  const app = new Elysia().use(errors({ log, clock, routes: [] })).use(analyticsRoutes(analytics))
  const fetch = (target: string, init?: RequestInit): Promise<Response> =>
    Promise.resolve(app.handle(new Request(`http://localhost/analytics${target}`, init)))
  const get = async (target: string): Promise<Json> => {
    const response = await fetch(target)
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${target} answered ${response.status}: ${text}\n${failures.slice(-1)}`)
    return JSON.parse(text)
  }
  return {
    tables,
    analytics,
    failures,
    fetch,
    get,
    rows: async (target) => (await get(target)).rows as Json[],
    listen() {
      app.listen({ port: 0, hostname: '127.0.0.1' })
      const port = app.server?.port
      if (port === undefined) throw new Error('the app does not listen')
      return port
    },
    fill: (rows) =>
      tables.write(async (tx) => {
        for (const name of Object.keys(definitions) as TableName[]) if (name in rows) await tx.delete(name, everything)
        for (const [name, values] of Object.entries(rows)) await tx.insert(name as TableName, values)
      }),
    async close() {
      await app.server?.stop(true)
      await analytics.close()
      await tables.close()
      await rm(root, { recursive: true })
    },
  }
}

/** Numbers may differ in their last digits; everything else, and text of digits, is equal. */
export const sameNumbers = (actual: unknown, expected: unknown, tolerance = 1e-9, at = 'answer'): void => {
  if (typeof actual === 'number' && typeof expected === 'number') {
    const limit = tolerance * Math.max(1e-9, Math.abs(actual), Math.abs(expected))
    if (Math.abs(actual - expected) <= limit) return
  } else if (Array.isArray(actual) && Array.isArray(expected)) {
    if (actual.length !== expected.length) throw new Error(`${at}: ${JSON.stringify(actual)} is not as long as ${JSON.stringify(expected)}`)
    for (const [i, item] of actual.entries()) sameNumbers(item, expected[i], tolerance, `${at}[${i}]`)
    return
  } else if (typeof actual === 'object' && typeof expected === 'object' && actual && expected && !Array.isArray(actual)) {
    for (const name of new Set([...Object.keys(actual), ...Object.keys(expected)]))
      sameNumbers((actual as Json)[name], (expected as Json)[name], tolerance, `${at}.${name}`)
    return
  } else if (Object.is(actual, expected)) return
  throw new Error(`${at} is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

/** Without what the answer rests on. */
export const withoutQuery = ({ query: _, ...rest }: Json): Json => rest
