/** What an expression of PromQL asks for. */
export interface Selector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
}

export interface Matcher {
  readonly label: string
  readonly operator: string
  readonly value: string
}

export interface Asked {
  readonly selectors: readonly Selector[]
  /** Labels of `by`, `without`, `on` and their like. */
  readonly grouping: readonly string[]
}

const MATCHER = /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g
const WORDS = new Set([
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'and',
  'or',
  'unless',
  'offset',
  'bool',
  'inf',
  'nan',
])

/**
 * The selectors and the grouping labels of an expression with Grafana's variables. No parser: enough for expressions that are known to
 * parse, in which a name is a metric unless a bracket follows it or it is a word of the language.
 */
export const askedBy = (expression: string): Asked => {
  const grouping: string[] = []
  const selectors: Selector[] = []
  const rest = expression
    .replace(/\$__\w+/g, '5m')
    .replace(/([a-zA-Z_:][\w:]*)?\s*\{((?:[^}"]|"(?:[^"\\]|\\.)*")*)\}/g, (_, metric: string | undefined, inside: string) => {
      const matchers = [...inside.matchAll(MATCHER)].map(([, label = '', operator = '', value = '']) => ({ label, operator, value }))
      selectors.push({ metric: metric ?? '', matchers })
      return ' '
    })
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g, (_, labels: string) => {
      grouping.push(...labels.split(',').map((label) => label.trim()))
      return ' '
    })
    .replace(/\[[^\]]*\]/g, ' ')
  for (const [, name = '', bracket] of rest.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\()?/g))
    if (bracket === undefined && !WORDS.has(name.toLowerCase())) selectors.push({ metric: name, matchers: [] })
  return { selectors, grouping: grouping.filter((label) => label !== '') }
}
