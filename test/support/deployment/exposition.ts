import { openApp } from '../app.ts'

/** Name of each series (`…_bucket` and its like among them) → its labels. */
export type Exposition = ReadonlyMap<string, ReadonlySet<string>>

export const readExposition = (text: string): Exposition => {
  const found = new Map<string, Set<string>>()
  const labelsOf = (name: string): Set<string> => {
    const labels = found.get(name) ?? new Set()
    found.set(name, labels)
    return labels
  }
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name !== undefined) for (const [, label = ''] of `,${labels}`.matchAll(/,([a-z_]+)="/g)) labelsOf(name).add(label)
    if (name !== undefined) labelsOf(name)
  }
  return found
}

/** What `GET /metrics` of the service gives once each of its figures has been told something. */
export const exposition = async (): Promise<Exposition> => {
  const app = await openApp({ settings: { strict: false } })
  try {
    const { metrics } = app.deps
    metrics.endpoints(() => [{ url: 'http://10.0.0.1', state: 'up', latencyMs: { read: 1, write: 1 }, failures: 0 }])
    metrics.vastRequest({ method: 'GET', command: 'data', status: 200, seconds: 0.01 })
    metrics.s3Operation('PutObject', 0.01, true)
    metrics.webhookAttempt(200)
    for (const route of ['/flows', '/sources', '/flows/:flowId/segments'])
      metrics.answered({ method: 'GET', route, status: 200, seconds: 0.01 })
    return readExposition(await (await app.fetch('/metrics')).text())
  } finally {
    await app.close()
  }
}
