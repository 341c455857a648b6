/** A line of the specification in our own words; as an object where something has to be said about it. */
export type Line = string | { readonly statement: string; readonly note: string } | { readonly statement: string; readonly unmet: string }

/** The MUST and SHOULD lines of one section, each list in the order of the text: their ids are their places. */
export interface Section {
  readonly title: string
  readonly must?: readonly Line[]
  readonly should?: readonly Line[]
}

/** By number: `6.2`. */
export type Sections = Readonly<Record<string, Section>>
