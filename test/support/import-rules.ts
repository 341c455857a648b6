import { cyclesOf, type Import, importsOf, type Sources } from './imports.ts'

/** Who may import whom. The first folder whose pattern matches a file is its folder; a folder may always import itself. */
interface Folder {
  readonly name: string
  readonly files: RegExp
  readonly may: readonly string[]
  /** Packages that it may use although they are kept to few places. */
  readonly packages?: readonly string[]
}

const interfaces = ['core', 'interfaces', 'telemetry (types)']
const everything = [...interfaces, 'domain', 'workers', 'analytics', 'telemetry']

export const folders: readonly Folder[] = [
  { name: 'core', files: /^src\/core\//, may: [] },
  { name: 'vastdb', files: /^src\/vastdb\//, may: [], packages: ['flatbuffers', 'node:http', 'node:https', 'node:tls'] },
  { name: 'config', files: /^src\/config(\.ts$|\/)/, may: ['core'] },
  { name: 'telemetry', files: /^src\/telemetry\//, may: ['core'], packages: ['pino', 'pino-pretty', 'prom-client', '@opentelemetry'] },
  { name: 'interfaces', files: /^src\/storage\/[\w-]+\.ts$/, may: ['core'] },
  { name: 'storage/sqlite', files: /^src\/storage\/sqlite\//, may: interfaces, packages: ['bun:sqlite', 'bun:ffi'] },
  { name: 'storage/disk', files: /^src\/storage\/disk\//, may: interfaces },
  { name: 'storage/s3', files: /^src\/storage\/s3\//, may: interfaces, packages: ['@aws-sdk'] },
  { name: 'storage/vast', files: /^src\/storage\/vast\//, may: [...interfaces, 'vastdb'] },
  { name: 'domain', files: /^src\/domain\//, may: interfaces, packages: ['@sinclair/typebox'] },
  { name: 'workers', files: /^src\/workers\//, may: [...interfaces, 'domain'] },
  {
    name: 'analytics routes',
    files: /^analytics\/routes\.ts$/,
    may: [...interfaces, 'analytics'],
    packages: ['elysia', '@sinclair/typebox'],
  },
  {
    name: 'analytics DuckDB',
    files: /^analytics\/(engine|load)\.ts$/,
    may: [...interfaces, 'analytics'],
    packages: ['@duckdb', '@sinclair/typebox'],
  },
  { name: 'analytics', files: /^analytics\//, may: [...interfaces, 'analytics DuckDB'], packages: ['@sinclair/typebox'] },
  {
    name: 'start-up',
    files: /^src\/(open-stores|open-media|open-migration|open-backup|open-doctor|open-reset|open-vast|vast-admin|storage-config)\.ts$/,
    may: [...everything, 'start-up', 'config', 'storage/sqlite', 'storage/disk', 'storage/s3', 'storage/vast', 'vastdb'],
    packages: ['@sinclair/typebox'],
  },
  {
    name: 'server',
    files: /^api\/server\.ts$/,
    may: [...everything, 'config', 'start-up', 'api', 'analytics routes'],
    packages: ['elysia'],
  },
  {
    name: 'api',
    files: /^api\//,
    may: [...everything, 'analytics routes'],
    packages: ['elysia', '@elysiajs', '@elysia', '@sinclair/typebox', 'jose', 'swagger-ui-dist'],
  },
  {
    name: 'cli',
    files: /^src\/cli\//,
    may: [...everything, 'config', 'start-up', 'server', 'api'],
    packages: ['commander', 'cli-progress'],
  },
]

const keptToFewPlaces = new Set(folders.flatMap((folder) => folder.packages ?? []))
const mayReadEnvironment = new Set(['config', 'server', 'cli'])

/** Every arrow, cycle and reading of the environment that the rules forbid, as one line each. */
export const violationsOf = (sources: Sources): readonly string[] => {
  const imports = importsOf(sources)
  return [
    ...[...sources.keys()].filter((file) => !folderOf(file)).map((file) => `${file} lies in no folder that has a rule`),
    ...imports.flatMap((each) => forbiddenArrow(each) ?? []),
    ...cyclesOf(imports).map((cycle) => `cycle: ${cycle.join(' -> ')}`),
    ...[...sources].filter(([file, text]) => readsEnvironment(file, text)).map(([file]) => `${file} reads the environment`),
  ]
}

const folderOf = (file: string): Folder | undefined => folders.find(({ files }) => files.test(file))

const forbiddenArrow = ({ from, to, ours, typeOnly }: Import): string | undefined => {
  const folder = folderOf(from)
  if (!folder) return undefined
  const arrow = `${from} -> ${to}`
  if (!ours) {
    const name = to.startsWith('@') ? to.split('/').slice(0, 2).join('/') : to.split('/', 1).join()
    const kept = [name, name.split('/', 1).join()].find((each) => keptToFewPlaces.has(each))
    return kept === undefined || folder.packages?.includes(kept) ? undefined : `${arrow}: ${folder.name} may not use ${kept}`
  }
  if (to === 'package.json') return undefined
  const target = folderOf(to)?.name
  if (target === undefined) return `${arrow}: outside the program`
  if (target === folder.name || folder.may.includes(target)) return undefined
  if (typeOnly && folder.may.includes(`${target} (types)`)) return undefined
  return `${arrow}: ${folder.name} may not import ${target}`
}

const readsEnvironment = (file: string, text: string): boolean =>
  !file.includes('/examples/') &&
  !mayReadEnvironment.has(folderOf(file)?.name ?? '') &&
  /^(?!\s*(?:\/\/|\*)).*\b(?:process|Bun|import\.meta)\.env\b/m.test(text)
