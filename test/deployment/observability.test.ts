import { describe, expect, test } from 'bun:test'
import path from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { variableNames } from '../../src/config/variables.ts'
import { ERRORS } from '../../src/core/errors.ts'
import { exposition, readExposition } from '../support/deployment/exposition.ts'
import { askedBy } from '../support/deployment/promql.ts'
import { at, documents, isPinned, isThere, list, type Members, members, ROOT, readText } from '../support/deployment/repository.ts'
import { documentedPaths } from '../support/deployment/routes.ts'

const RULES = 'observability/prometheus/rules'
const DASHBOARDS = 'observability/grafana/dashboards'

const dashboardFiles = await Array.fromAsync(new Bun.Glob(`${DASHBOARDS}/*.json`).scan(ROOT))
const dashboards = await Promise.all(
  dashboardFiles.map(async (file) => ({ file, dashboard: members(JSON.parse(await readText(file)) as unknown) })),
)
const rulesOf = async (name: string): Promise<readonly Members[]> =>
  (await documents(`${RULES}/${name}`)).flatMap((document) =>
    list(document, 'groups').flatMap((group) => list(group, 'rules').map((rule) => members(rule))),
  )
const records = await rulesOf('recording.yml')
const alerts = await rulesOf('alerts.yml')
const targets = dashboards.flatMap(({ file, dashboard }) =>
  list(dashboard, 'panels').flatMap((panel) =>
    list(panel, 'targets').map((target) => ({ where: `${file}: ${at(panel, 'title')}`, expr: String(at(target, 'expr')) })),
  ),
)
const expressions = [
  ...records.map((rule) => ({ where: String(rule.record), expr: String(rule.expr) })),
  ...alerts.map((rule) => ({ where: String(rule.alert), expr: String(rule.expr) })),
  ...targets,
]

/** What Prometheus adds to every series, and to those of a histogram. */
const TARGET = ['job', 'instance']

/** Labels by metric: of the service, of Prometheus itself, and of the recording rules, which keep those they group by. */
const known = async (): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const all = new Map<string, ReadonlySet<string>>([['up', new Set(TARGET)]])
  for (const [name, labels] of await exposition()) all.set(name, new Set([...labels, ...TARGET]))
  for (const rule of records) all.set(String(rule.record), new Set(askedBy(String(rule.expr)).grouping.filter((label) => label !== 'le')))
  return all
}

describe('rules and dashboards', () => {
  test('ask for metrics and labels that the service has', async () => {
    const metrics = await known()
    const wrong = expressions.flatMap(({ where, expr }) => {
      const { selectors, grouping } = askedBy(expr)
      const labels = new Set(selectors.flatMap(({ metric }) => [...(metrics.get(metric) ?? [])]))
      return [
        ...(selectors.length === 0 ? [`${where}: asks for nothing`] : []),
        ...selectors.flatMap(({ metric, matchers }) => [
          ...(metrics.has(metric) ? [] : [`${where}: no metric ${metric}`]),
          ...matchers
            .filter(({ label }) => !metrics.get(metric)?.has(label))
            .map(({ label }) => `${where}: no label ${label} of ${metric}`),
        ]),
        ...grouping.filter((label) => !labels.has(label)).map((label) => `${where}: groups by ${label}, which nothing has`),
      ]
    })
    expect(expressions.length).toBeGreaterThan(60)
    expect(wrong).toEqual([])
  })

  test('ask for types of errors, outcomes and routes that there are', async () => {
    const paths = [...(await documentedPaths()), '/media/{storageId}/{key}'].map((route) => route.replace(/\{(\w+)\}/g, ':$1'))
    const values: Readonly<Record<string, readonly string[]>> = {
      type: Object.keys(ERRORS),
      outcome: ['1xx', '2xx', '3xx', '4xx', '5xx', 'no_answer', 'ok', 'error'],
      route: paths,
      status: ['200', '404', '500', '503', '507'],
      job: ['tams', '$job'],
    }
    const unmatched = expressions.flatMap(({ where, expr }) =>
      askedBy(expr)
        .selectors.flatMap(({ matchers }) => matchers)
        .flatMap(({ label, operator, value }) => {
          const alternatives = operator.includes('~') ? value.split('|') : [value]
          return alternatives
            .filter((each) => {
              const pattern = operator.includes('~') ? new RegExp(`^(?:${each})$`) : undefined
              return values[label]?.every((one) => (pattern ? !pattern.test(one) : one !== each)) ?? false
            })
            .map((each) => `${where}: no ${label} is ${each}`)
        }),
    )
    expect(unmatched).toEqual([])
  })

  test('would be found out: a metric, a label and a value that are not there', () => {
    expect(askedBy('sum by (job) (rate(tams_x_total{a="b{",c=~"d|e"}[5m])) / on (job) up > 0.5 and vector(1)')).toEqual({
      selectors: [
        {
          metric: 'tams_x_total',
          matchers: [
            { label: 'a', operator: '=', value: 'b{' },
            { label: 'c', operator: '=~', value: 'd|e' },
          ],
        },
        { metric: 'up', matchers: [] },
      ],
      grouping: ['job', 'job'],
    })
    expect([...readExposition('# HELP a b\na{x="1,y=\\"",le="2"} 3\nb 4\n')]).toEqual([
      ['a', new Set(['x', 'le'])],
      ['b', new Set()],
    ])
  })

  test('leave out no metric of the service', async () => {
    const asked = new Set(expressions.flatMap(({ expr }) => askedBy(expr).selectors.map(({ metric }) => metric)))
    const names = [...(await exposition()).keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ''))
    const seen = [...asked].map((name) => name.replace(/_(bucket|sum|count)$/, ''))
    expect([...new Set(names)].filter((name) => !seen.includes(name))).toEqual([])
  })
})

describe('an alert', () => {
  test('says what is the matter, how bad it is, and where to read on', async () => {
    const runbook = await readText('docs/RUNBOOK.md')
    const sections = [...runbook.matchAll(/^## (Tams\w+)$/gm)].map(([, name = '']) => name)
    expect(alerts.map(({ alert }) => String(alert)).sort()).toEqual(sections.sort())
    for (const { alert, labels, annotations } of alerts) {
      expect(['critical', 'warning']).toContain(String(at(labels, 'severity')))
      expect(String(at(annotations, 'summary')).length).toBeGreaterThan(20)
      expect(String(at(annotations, 'description')).length).toBeGreaterThan(40)
      expect(at(annotations, 'runbook')).toBe(`docs/RUNBOOK.md#${String(alert).toLowerCase()}`)
    }
  })

  test('has a section in the runbook with what to look at and what to do', async () => {
    const sections = (await readText('docs/RUNBOOK.md')).split(/^## /m).filter((section) => section.startsWith('Tams'))
    for (const section of sections) {
      const [name = ''] = section.split('\n')
      expect([name, section.includes('**Look at**'), section.includes('**Do**')]).toEqual([name, true, true])
    }
  })

  test('names labels in its texts that its expression keeps', async () => {
    const metrics = await known()
    for (const { alert, expr, annotations } of alerts) {
      const { selectors, grouping } = askedBy(String(expr))
      const kept = grouping.length > 0 ? grouping : selectors.flatMap(({ metric }) => [...(metrics.get(metric) ?? [])])
      for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g))
        expect([alert, kept.includes(label)]).toEqual([alert, true])
    }
  })
})

describe('a dashboard', () => {
  test('has an id of its own, that of its file, and panels that do not lie on one another', () => {
    expect(dashboards.length).toBe(4)
    for (const { file, dashboard } of dashboards) {
      expect(dashboard.uid).toBe(path.basename(file, '.json'))
      const panels = list(dashboard, 'panels').map((panel) => members(panel))
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
      const cells = panels.flatMap((panel) => {
        const [x, y, w, h] = ['x', 'y', 'w', 'h'].map((name) => Number(at(panel, `gridPos.${name}`)))
        expect(Number(x) + Number(w)).toBeLessThanOrEqual(24)
        return Array.from(
          { length: Number(w) * Number(h) },
          (_, i) => `${Number(x) + (i % Number(w))}:${Number(y) + Math.floor(i / Number(w))}`,
        )
      })
      expect(new Set(cells).size).toBe(cells.length)
    }
  })

  test('reads the data source that is provisioned, in every panel', async () => {
    const [provisioned] = await documents('observability/grafana/provisioning/datasources/prometheus.yml')
    const uid = at(provisioned, 'datasources.0.uid')
    for (const { dashboard } of dashboards)
      for (const [, found] of JSON.stringify(dashboard).matchAll(/"datasource":\{"type":"prometheus","uid":"([^"]*)"\}/g))
        expect(found).toBe(String(uid))
    expect(JSON.stringify(dashboards)).toContain(`"uid":"${uid}"`)
  })

  test('uses only variables that it has', () => {
    for (const { file, dashboard } of dashboards) {
      const names = list(dashboard, 'templating.list').map((each) => String(at(each, 'name')))
      const used = list(dashboard, 'panels').flatMap((panel) => list(panel, 'targets').map((target) => String(at(target, 'expr'))))
      for (const [, name = ''] of used.join(' ').matchAll(/\$(\w+)/g))
        expect([file, name, ['__rate_interval', ...names].includes(name)]).toEqual([file, name, true])
    }
  })
})

describe('compose.yaml', () => {
  const compose = documents('observability/compose.yaml').then(([first]) => members(first))

  test('pins every image, ours to this version', async () => {
    const images = Object.values(members(await compose, 'services')).map((service) => String(at(service, 'image')))
    expect(images.length).toBe(4)
    for (const image of images) expect([image, isPinned(image)]).toEqual([image, true])
    expect(images).toContain(`vast-tams:${packageJson.version}`)
    expect([isPinned('grafana/grafana'), isPinned('grafana/grafana:latest'), isPinned('grafana/grafana:12')]).toEqual([false, false, false])
  })

  test('sends traces to one of its services, by a name of the network of all of them', async () => {
    const services = members(await compose, 'services')
    const endpoint = String(at(services.tams, 'environment.OTEL_EXPORTER_OTLP_ENDPOINT'))
    expect(Object.keys(services)).toContain(new URL(endpoint).hostname)
  })

  test('mounts what is there, and volumes and secrets that it declares', async () => {
    const document = await compose
    const secrets = members(document, 'secrets')
    const volumes = members(document, 'volumes')
    for (const service of Object.values(members(document, 'services'))) {
      for (const mount of list(service, 'volumes')) {
        const [source = ''] = String(mount).split(':')
        expect([source, source.startsWith('.') ? await isThere(path.join('observability', source)) : source in volumes]).toEqual([
          source,
          true,
        ])
      }
      for (const secret of list(service, 'secrets')) expect([secret, String(secret) in secrets]).toEqual([secret, true])
    }
    for (const secret of Object.values(secrets)) expect(String(at(secret, 'file'))).toMatch(/^\.\/secrets\//)
  })

  test('configures the service by its own variables, beyond loopback inside and on loopback outside', async () => {
    const service = members(await compose, 'services.tams')
    for (const name of Object.keys(members(service, 'environment'))) expect(variableNames as readonly string[]).toContain(name)
    expect(at(service, 'environment.HOST')).toBe('0.0.0.0')
    for (const port of list(service, 'ports')) expect(String(port)).toMatch(/^127\.0\.0\.1:\d+:8000$/)
    expect(await readText('Dockerfile')).toContain(`VOLUME ${at(service, 'environment.TAMS_DATA_DIR')}\n`)
  })

  test('lets Prometheus find the service, its rules and its token', async () => {
    const document = await compose
    const [config] = await documents('observability/prometheus/prometheus.yml')
    const [job] = list(config, 'scrape_configs')
    const [host = '', port] = String(at(job, 'static_configs.0.targets.0')).split(':')
    expect(Object.keys(members(document, 'services'))).toContain(host)
    expect(at(members(document, `services.${host}`), 'environment.PORT')).toBe(String(port))
    expect(await documentedPaths()).toContain(String(at(job, 'metrics_path')))
    expect(at(job, 'authorization.credentials_file')).toBe(`/run/secrets/${list(document, 'services.prometheus.secrets')[0]}`)
    expect(at(job, 'job_name')).toBe('tams')
    for (const glob of list(config, 'rule_files')) {
      const found = await Array.fromAsync(new Bun.Glob(`observability/prometheus/${glob}`).scan(ROOT))
      expect(found.length).toBe(2)
    }
  })
})
