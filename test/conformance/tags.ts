import { readFileSync } from 'node:fs'
import path from 'node:path'

export const root = path.join(import.meta.dir, '..', '..')

/** A test and the lines that it says it holds. */
export interface TaggedTest {
  /** From the root of the repository. */
  readonly file: string
  /** As written in the file, with its placeholders and without its tags. */
  readonly name: string
  readonly tags: readonly string[]
}

// `[6.2-M4]`; `[13-5]` for the changes since 7.0; `[A]` for the appendices, which elsewhere may be anything. Section tags (`[6.2]`) are for `bun test -t` only.
const lineTag = /\[(\d+(?:\.\d+)?-[MS]\d+|13-\d+)\]/g
const heldTag = /\[(\d+(?:\.\d+)?-[MS]\d+|13-\d+|[ABC])\]/g
const anyTag = String.raw`\[[A-Za-z0-9.-]+\]`
// The name ends with its tags; it follows the parenthesis of `test(` or `test.each(…)(`. A skipped test holds nothing.
const taggedName = new RegExp(String.raw`(?<!\.(?:skip|todo|failing))\(\s*(['"\`])((?:(?!\1)[^\n\\]|\\.)*?)((?:\s${anyTag})+)\1,`, 'g')

/** Tests of a file that carry tags of lines. Throws for such a tag anywhere else. */
export const taggedTests = (file: string, text: string): TaggedTest[] => {
  const tests = [...text.matchAll(taggedName)].flatMap(([, , name = '', tail = '']) => {
    const tags = [...tail.matchAll(heldTag)].map(([, tag = '']) => tag)
    return tags.length === 0 ? [] : [{ file, name: name.replaceAll(/\\(.)/g, '$1'), tags }]
  })
  const found = tests.flatMap(({ tags }) => tags).filter((tag) => tag.includes('-')).length
  const written = [...text.matchAll(lineTag)].length
  if (found !== written) throw new Error(`${file}: ${written - found} tags of lines are not at the end of the name of a test that runs`)
  return tests
}

/** All tagged tests of the repository, in the order of files and places; those of this folder are about tags, not tagged. */
export const allTaggedTests = (): TaggedTest[] =>
  [...new Bun.Glob('test/**/*.test.ts').scanSync({ cwd: root })]
    .filter((file) => !file.startsWith('test/conformance/'))
    .sort()
    .flatMap((file) => taggedTests(file, readFileSync(path.join(root, file), 'utf8')))
