import { describe, expect, test } from 'bun:test'
import path from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { variableNames } from '../../src/config/variables.ts'
import { readConfig } from '../../src/config.ts'
import { at, documents, isThere, list, type Members, members, ROOT, readText, textsOf } from '../support/deployment/repository.ts'
import { documentedPaths } from '../support/deployment/routes.ts'

const BASE = 'k8s/base'
const OVERLAYS = ['k8s/overlays/single-node', 'k8s/overlays/production']

const kustomizations = await Array.fromAsync(new Bun.Glob('k8s/**/kustomization.yaml').scan(ROOT))
const manifests = (await Array.fromAsync(new Bun.Glob('k8s/**/*.yaml').scan(ROOT))).filter((name) => !kustomizations.includes(name))

const only = async (file: string): Promise<Members> => {
  const [document, ...others] = await documents(file)
  if (!document || others.length > 0) throw new Error(`${file}: expected one document, found ${others.length + (document ? 1 : 0)}`)
  return document
}
const pairsOf = (literals: readonly unknown[]): readonly [string, string][] =>
  literals.map((literal) => {
    const text = String(literal)
    return [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]
  })
const literalsOf = async (directory: string) =>
  list(await only(`${directory}/kustomization.yaml`), 'configMapGenerator').flatMap((each) => pairsOf(list(each, 'literals')))
const secretNames = async (directory: string): Promise<readonly string[]> =>
  (await readText(`${directory}/secrets.env.example`)).split('\n').flatMap((line) => /^([A-Z_0-9]+)=/.exec(line)?.[1] ?? [])

const deployment = await only(`${BASE}/deployment.yaml`)
const pod = members(deployment, 'spec.template.spec')
const container = members(pod, 'containers.0')
const serverLabels = {
  ...members(deployment, 'spec.template.metadata.labels'),
  ...members(await only(`${BASE}/kustomization.yaml`), 'labels.0.pairs'),
}

describe('kustomize', () => {
  test('finds every file that it is told of, and is told of every file', async () => {
    const used = new Set<string>()
    for (const file of kustomizations) {
      const directory = path.dirname(file)
      const kustomization = await only(file)
      const patches = list(kustomization, 'patches').map((patch) => String(at(patch, 'path')))
      for (const name of [...list(kustomization, 'resources'), ...list(kustomization, 'components'), ...patches]) {
        const target = path.join(directory, String(name))
        const resource = String(name).endsWith('.yaml') ? target : `${target}/kustomization.yaml`
        expect([file, name, await isThere(resource)]).toEqual([file, name, true])
        used.add(resource)
      }
    }
    expect(manifests.filter((name) => !used.has(name))).toEqual([])
  })

  test('is given objects with kind, version and name, one in a file', async () => {
    for (const file of manifests) {
      const document = await only(file)
      expect([file, typeof at(document, 'metadata.name'), typeof document.kind, typeof document.apiVersion]).toEqual([
        file,
        ...['string', 'string', 'string'],
      ])
    }
  })

  test('takes components as components and overlays as kustomizations', async () => {
    const kinds = await Promise.all(kustomizations.map(async (file) => [file.split('/')[1], (await only(file)).kind]))
    for (const [folder, kind] of kinds) expect([folder, kind]).toEqual([folder, folder === 'components' ? 'Component' : 'Kustomization'])
  })

  test('sets the namespace last, of everything', async () => {
    for (const overlay of OVERLAYS)
      expect(list(await only(`${overlay}/kustomization.yaml`), 'components').at(-1)).toBe('../../components/namespace')
  })

  test('patches what the base has', async () => {
    for (const overlay of OVERLAYS) {
      const patch = await only(`${overlay}/deployment.yaml`)
      expect([patch.kind, at(patch, 'metadata.name')]).toEqual([deployment.kind, at(deployment, 'metadata.name')])
      for (const volume of list(patch, 'spec.template.spec.volumes'))
        expect(list(pod, 'volumes').map((each) => at(each, 'name'))).toContain(at(volume, 'name'))
    }
  })
})

describe('the configuration', () => {
  test('has names of variables of the service, secrets in the secret alone', async () => {
    for (const directory of [BASE, ...OVERLAYS])
      for (const [name] of await literalsOf(directory)) {
        expect(variableNames as readonly string[]).toContain(name)
        expect(name).not.toMatch(/SECRET|ACCESS_KEY/)
      }
    for (const overlay of OVERLAYS)
      for (const name of await secretNames(overlay)) expect(variableNames as readonly string[]).toContain(name)
  })

  test.each(OVERLAYS)('of %s is one that the service starts with', async (overlay) => {
    const config = readConfig({
      ...Object.fromEntries([...(await literalsOf(BASE)), ...(await literalsOf(overlay))]),
      ...Object.fromEntries((await secretNames(overlay)).map((name) => [name, 'x'.repeat(40)])),
      HOST: '0.0.0.0',
    })
    expect([config.vast !== undefined, config.s3 !== undefined]).toEqual(overlay.endsWith('production') ? [true, true] : [false, false])
    expect(config.auth.mode).toBe('on')
    expect(at(await only(`${BASE}/ingress.yaml`), 'spec.rules.0.host')).toBe(new URL(config.publicBaseUrl ?? '').host)
  })

  test('reaches the container from the generated objects', async () => {
    const generated = [...list(await only(`${BASE}/kustomization.yaml`), 'configMapGenerator')].map((each) => at(each, 'name'))
    expect(at(container, 'envFrom.0.configMapRef.name')).toBe(generated[0])
    for (const overlay of OVERLAYS)
      expect(at(await only(`${overlay}/kustomization.yaml`), 'secretGenerator.0.name')).toBe(at(container, 'envFrom.1.secretRef.name'))
  })

  test('names the image of this version', async () => {
    const [image] = list(await only(`${BASE}/kustomization.yaml`), 'images')
    expect([at(image, 'name'), at(image, 'newTag')]).toEqual([container.image, packageJson.version])
  })
})

describe('the pod', () => {
  test('is probed at routes that exist, on the port that the image listens on', async () => {
    const paths = await documentedPaths()
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      expect(paths).toContain(String(at(container, `${probe}.httpGet.path`)))
      expect(at(container, `${probe}.httpGet.port`)).toBe(at(container, 'ports.0.name'))
    }
    expect(await readText('Dockerfile')).toContain(`PORT=${at(container, 'ports.0.containerPort')} `)
  })

  test('has longer to end than the service takes for the requests in progress', async () => {
    const [, grace = ''] = /GRACE_MS = ([\d_]+)/.exec(await readText('api/server.ts')) ?? []
    const [program, seconds] = list(container, 'lifecycle.preStop.exec.command')
    expect(program).toBe('sleep')
    const needed = Number(seconds) + Number(grace.replaceAll('_', '')) / 1000
    expect(needed).toBeGreaterThanOrEqual(20)
    expect(Number(pod.terminationGracePeriodSeconds)).toBeGreaterThan(needed + 15)
  })

  test('is nobody special and changes nothing but its volumes', async () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(await readText('Dockerfile')).toContain(
      `USER ${at(pod, 'securityContext.runAsUser')}:${at(pod, 'securityContext.runAsGroup')}\n`,
    )
    expect([pod.automountServiceAccountToken, at(await only(`${BASE}/service-account.yaml`), 'automountServiceAccountToken')]).toEqual([
      false,
      false,
    ])
    expect(pod.serviceAccountName).toBe(at(await only(`${BASE}/service-account.yaml`), 'metadata.name'))
    const mounts = list(container, 'volumeMounts').map((each) => [at(each, 'name'), at(each, 'mountPath')])
    expect(mounts).toEqual([
      ['data', '/data'],
      ['tmp', '/tmp'],
    ])
    expect(list(pod, 'volumes').map((each) => at(each, 'name'))).toEqual(mounts.map(([name]) => name))
  })

  test('keeps more memory than analytics may take', () => {
    const limit = /^(\d+)Gi$/.exec(String(at(container, 'resources.limits.memory')))?.[1]
    expect(Number(limit) * 2 ** 30).toBeGreaterThan(2 * readConfig({}).analytics.memoryLimitBytes)
  })
})

describe('what leads to the pod', () => {
  test('selects by labels that it has', async () => {
    const spread = list(pod, 'topologySpreadConstraints').map((each) => members(each, 'labelSelector.matchLabels'))
    const selectors = [
      members(deployment, 'spec.selector.matchLabels'),
      members(await only(`${BASE}/service.yaml`), 'spec.selector'),
      members(await only(`${BASE}/network-policy.yaml`), 'spec.podSelector.matchLabels'),
      members(await only('k8s/overlays/production/disruption-budget.yaml'), 'spec.selector.matchLabels'),
      ...spread,
    ]
    expect(spread.length).toBe(2)
    for (const selector of selectors) {
      expect(Object.keys(selector)).not.toEqual([])
      expect(serverLabels).toMatchObject(selector)
    }
  })

  test('calls its port by name all the way', async () => {
    const service = await only(`${BASE}/service.yaml`)
    const [name, target] = [at(service, 'spec.ports.0.name'), at(service, 'spec.ports.0.targetPort')]
    const backend = members(await only(`${BASE}/ingress.yaml`), 'spec.rules.0.http.paths.0.backend.service')
    const monitor = await only('k8s/components/service-monitor/service-monitor.yaml')
    expect(target).toBe(at(container, 'ports.0.name'))
    expect([backend.name, at(backend, 'port.name')]).toEqual([at(service, 'metadata.name'), name])
    expect(at(monitor, 'spec.endpoints.0.port')).toBe(name)
    expect(await documentedPaths()).toContain(String(at(monitor, 'spec.endpoints.0.path')))
    expect(members(await only(`${BASE}/kustomization.yaml`), 'labels.0.pairs')).toMatchObject(members(monitor, 'spec.selector.matchLabels'))
    expect(at(await only(`${BASE}/network-policy.yaml`), 'spec.ingress.0.ports.0.port')).toBe(target)
  })

  test('counts several replicas only where they share a store', async () => {
    const autoscaler = await only('k8s/overlays/production/autoscaler.yaml')
    expect(at(autoscaler, 'spec.scaleTargetRef')).toEqual({
      apiVersion: deployment.apiVersion,
      kind: deployment.kind,
      name: at(deployment, 'metadata.name'),
    })
    expect(Number(at(autoscaler, 'spec.minReplicas'))).toBeGreaterThan(1)
    expect(at(container, 'resources.requests.cpu')).toBeDefined()
    const single = await only('k8s/overlays/single-node/deployment.yaml')
    expect([at(single, 'spec.replicas'), at(single, 'spec.strategy.type')]).toEqual([1, 'Recreate'])
    expect(at(await only('k8s/overlays/single-node/data.yaml'), 'metadata.name')).toBe(
      at(single, 'spec.template.spec.volumes.0.persistentVolumeClaim.claimName'),
    )
    expect(textsOf(await only('k8s/overlays/single-node/kustomization.yaml')).join()).not.toContain('autoscaler')
  })
})
