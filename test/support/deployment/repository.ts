import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'

export const ROOT = path.join(import.meta.dir, '../../..')

export const readText = (name: string): Promise<string> => readFile(path.join(ROOT, name), 'utf8')

export const isThere = (name: string): Promise<boolean> =>
  stat(path.join(ROOT, name)).then(
    () => true,
    () => false,
  )

export type Members = Readonly<Record<string, unknown>>

const isMembers = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What lies at this path of members and indexes, such as `spec.template.spec.containers.0`; undefined where nothing does. */
export const at = (value: unknown, at: string): unknown =>
  at.split('.').reduce<unknown>((found, key) => {
    if (Array.isArray(found)) return found[Number(key)]
    return isMembers(found) ? found[key] : undefined
  }, value)

/** The object there; an empty one where there is none. */
export const members = (value: unknown, where?: string): Members => {
  const found = where === undefined ? value : at(value, where)
  return isMembers(found) ? found : {}
}

/** The list there; an empty one where there is none. */
export const list = (value: unknown, where?: string): readonly unknown[] => {
  const found = where === undefined ? value : at(value, where)
  return Array.isArray(found) ? found : []
}

/** The documents of a YAML file, in order. */
export const documents = async (name: string): Promise<readonly Members[]> => {
  const parsed: unknown = Bun.YAML.parse(await readText(name))
  return (Array.isArray(parsed) ? parsed : [parsed]).filter(isMembers)
}

/** Every text in it, members' names left out. */
export const textsOf = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(textsOf)
  return isMembers(value) ? Object.values(value).flatMap(textsOf) : []
}

/** `name:1.2.3`, with whatever behind the version, or a digest. */
export const isPinned = (image: string): boolean => /(:v?\d+\.\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$/.test(image)
