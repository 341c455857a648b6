import type { Static, TObject, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { invalid } from '../src/core/errors.ts'
import { quote } from '../src/core/uuid.ts'
import type { DatasetRequest } from './datasets.ts'
import type { Parameter } from './engine.ts'
import type { FilterName, Filters } from './filters.ts'
import type { Step } from './steps.ts'

/** What answers a report: the data it needs, and one SQL text over them with bound parameters. */
export interface Plan {
  readonly datasets: readonly DatasetRequest[]
  /** What is made of them before the query, and kept as they are. */
  readonly steps?: readonly Step[]
  /** A SELECT of two columns `x` and `y`, finite numbers without nulls, and without parameters: its `PairSums` are bound to `sql` by their names. */
  readonly pairs?: string
  readonly sql: string
  readonly bind?: Readonly<Record<string, Parameter>>
}

interface Definition<P extends TObject> {
  /** The last part of its path. */
  readonly name: string
  readonly summary: string
  /** Filters that have a meaning for it; any other is refused. */
  readonly filters: readonly FilterName[]
  readonly parameters: P
  /** `object`: one row, whose columns are the members of the answer. `table`: the answer has `rows`. */
  readonly shape: 'object' | 'table'
  /** Of the object, or of each row. */
  readonly result: TObject
  readonly plan: (parameters: Static<P>, filters: Filters, nowUs: bigint) => Plan
}

export interface Report extends Omit<Definition<TObject>, 'plan'> {
  /** Throws `invalid`, naming the parameter. */
  readonly plan: (texts: Readonly<Record<string, string>>, filters: Filters, nowUs: bigint) => Plan & { readonly parameters: object }
}

export const report = <P extends TObject>(definition: Definition<P>): Report => ({
  ...definition,
  plan(texts, filters, nowUs) {
    const parameters = parseParameters(definition.parameters, texts)
    return { ...definition.plan(parameters, filters, nowUs), parameters: parameters as object }
  },
})

/** Texts of a query string as the values that the schema asks for, defaults filled in. */
export const parseParameters = <P extends TObject>(schema: P, texts: Readonly<Record<string, string>>): Static<P> => {
  const given = Object.fromEntries(
    Object.entries<TSchema>(schema.properties).flatMap(([name, property]) => {
      const text = Object.hasOwn(texts, name) ? texts[name] : undefined
      if (text !== undefined) return [[name, parseValue(name, property, text)]]
      return property.default === undefined ? [] : [[name, property.default as unknown]]
    }),
  )
  const [error] = Value.Errors(schema, given)
  if (!error) return given as Static<P>
  const name = error.path.slice(1).split('/', 1).join()
  const property: TSchema | undefined = schema.properties[name]
  throw invalid(name, error.value === undefined ? 'is required' : `${quote(texts[name])} is not ${described(property)}`)
}

const parseValue = (name: string, property: TSchema, text: string): unknown => {
  if (property.type === 'integer') {
    if (!/^[+-]?\d{1,15}$/.test(text)) throw invalid(name, `${quote(text)} is not a whole number`)
    return Number(text)
  }
  if (property.type === 'number') {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(Number(text)))
      throw invalid(name, `${quote(text)} is not a number`)
    return Number(text)
  }
  return text
}

const described = (property: TSchema | undefined): string => {
  const options = (property?.anyOf as readonly TSchema[] | undefined)?.map((option) => String(option.const))
  if (options) return `one of ${options.join(', ')}`
  const minimum: unknown = property?.minimum
  const maximum: unknown = property?.maximum
  if (minimum !== undefined || maximum !== undefined) return `between ${minimum ?? 'any'} and ${maximum ?? 'any'}`
  return property?.title ?? `of the form ${property?.pattern ?? property?.type}`
}
