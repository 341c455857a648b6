/** Kind (`schemas`, `parameters` …) → name → the part. */
export type Components = Readonly<Record<string, Readonly<Record<string, object>>>>

export interface References {
  /**
   * A copy of `value` as JSON in which everything equal to a component is a reference to it; TypeBox clones what is optional, so
   * equality and not identity counts. Of two equal components the first is referred to.
   */
  place(value: unknown): unknown
  /** The components themselves, which refer to each other. */
  readonly components: Record<string, Record<string, unknown>>
}

export const references = (components: Components): References => {
  const known = pointers(components)
  const placed = (part: object) => place(part, known, part)
  return { place: (value) => place(value, known, undefined), components: mapValues(components, (parts) => mapValues(parts, placed)) }
}

const pointers = (components: Components): ReadonlyMap<string, string> => {
  const known = new Map<string, string>()
  for (const [kind, parts] of Object.entries(components))
    for (const [name, part] of Object.entries(parts)) {
      const text = JSON.stringify(part)
      if (!known.has(text)) known.set(text, `#/components/${kind}/${name}`)
    }
  return known
}

const place = (value: unknown, known: ReadonlyMap<string, string>, own: object | undefined): unknown => {
  if (typeof value !== 'object' || value === null) return value
  const pointer = value === own ? undefined : known.get(JSON.stringify(value))
  if (pointer !== undefined) return { $ref: pointer }
  if (Array.isArray(value)) return value.map((item) => place(item, known, own))
  // Examples are data, whatever they look like.
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, /^examples?$/.test(name) ? member : place(member, known, own)]),
  )
}

const mapValues = <T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]))
