import type { EffectiveVariable } from './read.ts'
import { definitionOf, type Group, variableNames } from './variables.ts'

/** The effective values, one `NAME=value` a line under the name of each group; secrets as `***`. For people. */
export const describeConfig = (config: { readonly variables: readonly EffectiveVariable[] }): string => {
  const note = { environment: '', default: '  (default)', unset: '  (not set)' }
  return sections(config.variables, ({ name, value, origin }) => `${name}=${value}${note[origin]}`)
}

/** The text of `.env.example`: every variable, commented out with its default. */
export const envExample = (): string => {
  const listed = variableNames.map((name) => ({ name, ...definitionOf(name) }))
  const body = sections(
    listed,
    ({ name, help, type, ...variable }) => `# ${help}\n#   ${type.expected}\n#${name}=${variable.default ?? ''}`,
  )
  return `# Settings of vast-tams. Copy this file to .env and uncomment what differs; all values are the defaults.\n\n${body}`
}

const sections = <T extends { readonly group: Group }>(items: readonly T[], print: (item: T) => string): string =>
  [...Map.groupBy(items, (item) => item.group)].map(([group, members]) => `# ${group}\n${members.map(print).join('\n')}\n`).join('\n')
