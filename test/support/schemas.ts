import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020'
import addFormats from 'ajv-formats'

/** The specification's files (schemas, examples) lie beside the repository; without them their checks are skipped. */
export const specificationFolder = path.join(import.meta.dir, '..', '..', '..', 'shared', 'tams-api')
export const hasSpecification = existsSync(path.join(specificationFolder, 'schemas'))

if (!hasSpecification) console.warn(`skipped: validation against the specification's schemas, because ${specificationFolder} is absent`)

export type Schema = Readonly<Record<string, unknown>>

/** `flow-get` → the schema of `schemas/flow-get.json`. */
export const ref = (name: string): Schema => ({ $ref: `${name}.json` })

/** One example of the specification, parsed; undefined where the folder is absent. */
export const example = (name: string): unknown => {
  const file = path.join(specificationFolder, 'examples', `${name}.json`)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

export const exampleNames = (): string[] => {
  const folder = path.join(specificationFolder, 'examples')
  return existsSync(folder) ? readdirSync(folder).map((name) => name.replace(/\.json$/, '')) : []
}

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
addFormats(ajv)
if (hasSpecification) {
  const folder = path.join(specificationFolder, 'schemas')
  for (const name of readdirSync(folder)) ajv.addSchema(JSON.parse(readFileSync(path.join(folder, name), 'utf8')), name)
}

const compiled = new Map<Schema, ValidateFunction>()

/** What is wrong with `value`, one line each; empty when it is valid or the schemas are absent. `schema`: a file's name or a schema. */
export const violations = (schema: string | Schema, value: unknown): string[] => {
  if (!hasSpecification) return []
  const wanted = typeof schema === 'string' ? namedSchema(schema) : schema
  const check = compiled.get(wanted) ?? ajv.compile(wanted)
  compiled.set(wanted, check)
  if (check(value)) return []
  return (check.errors ?? []).map((error) => `${error.instancePath || '(root)'} ${error.message} ${JSON.stringify(error.params)}`)
}

/** Throws when `value` breaks the schema. */
export const validate = (schema: string | Schema, value: unknown): void => {
  const found = violations(schema, value)
  if (found.length > 0) {
    const name = typeof schema === 'string' ? schema : JSON.stringify(schema)
    throw new Error(`not valid against ${name}:\n  ${found.slice(0, 12).join('\n  ')}\n  in ${JSON.stringify(value)?.slice(0, 2000)}`)
  }
}

const named = new Map<string, Schema>()
const namedSchema = (name: string): Schema => {
  const schema = named.get(name) ?? ref(name)
  named.set(name, schema)
  return schema
}
