import { definitionOf, type Group, type Values, type VariableName, variableNames } from './variables.ts'

/** One variable as it takes effect; `value` is '' when it is unset and without a default, `***` for a secret. */
export interface EffectiveVariable {
  readonly name: VariableName
  readonly group: Group
  readonly value: string
  readonly origin: 'environment' | 'default' | 'unset'
}

export interface ReadVariables {
  /** Absent when there are problems. */
  readonly values: Values | undefined
  readonly variables: readonly EffectiveVariable[]
  readonly problems: readonly string[]
}

/** An empty text counts as unset: that is how compose files and `.env` leave a variable out. */
export const readVariables = (env: Readonly<Record<string, string | undefined>>): ReadVariables => {
  const values: Partial<Record<VariableName, unknown>> = {}
  const variables: EffectiveVariable[] = []
  const problems: string[] = []
  for (const name of variableNames) {
    const { group, type, secret, default: fallback } = definitionOf(name)
    const given = env[name] || undefined
    const text = given ?? fallback
    const value = text === undefined ? undefined : type.parse(text)
    if (text !== undefined && value === undefined) {
      problems.push(`${name}: expected ${type.expected}${secret ? '' : `, not ${JSON.stringify(text)}`}`)
    }
    values[name] = value
    variables.push(
      Object.freeze({
        name,
        group,
        value: text === undefined ? '' : secret ? '***' : text,
        origin: given !== undefined ? 'environment' : fallback !== undefined ? 'default' : 'unset',
      }),
    )
  }
  // The loop above has filled every name with what its own parser gave, which is how `Values` is defined.
  return { values: problems.length === 0 ? (values as Values) : undefined, variables: Object.freeze(variables), problems }
}
