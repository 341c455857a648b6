import path from 'node:path'
import { compareText } from '../../core/text-order.ts'
import type { StoredObject } from '../media.ts'
import { type DiskFs, ifPresent } from './disk-fs.ts'
import { decodeName, isHashed, NO_PREFIX, OTHER, SIDECAR_SUFFIX } from './layout.ts'
import { findVersion, readSidecar } from './read.ts'
import { toStoredObject } from './sidecar.ts'

export type Listed = StoredObject & { readonly key: string }

/** Objects in key order behind `after`. In memory at once: the names of one date directory and those of `~other`. */
export async function* listObjects(
  fs: DiskFs,
  root: string,
  after: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Listed> {
  const one = listDates(fs, root, after, signal)
  const two = listDirectory(fs, path.join(root, OTHER), '', after, signal)
  let [a, b] = [await one.next(), await two.next()]
  while (!a.done || !b.done) {
    if (b.done || (!a.done && compareText(a.value.key, b.value.key) < 0)) {
      if (!a.done) yield a.value
      a = await one.next()
    } else {
      yield b.value
      b = await two.next()
    }
  }
}

async function* listDates(fs: DiskFs, root: string, after: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<Listed> {
  const dates = await dateDirectories(fs, root)
  for (const { beginning, directory } of dates) {
    if (after !== undefined && compareText(beginning, after) < 0 && !after.startsWith(beginning)) continue
    yield* listDirectory(fs, directory, beginning, after, signal)
  }
}

interface DateDirectory {
  /** How all keys in it begin, and no others. */
  readonly beginning: string
  readonly directory: string
}

const dateDirectories = async (fs: DiskFs, root: string): Promise<readonly DateDirectory[]> => {
  const found: DateDirectory[] = []
  for (const top of await namesIn(fs, root)) {
    const prefix = top === NO_PREFIX ? '' : decodeName(top)
    if (prefix === undefined) continue
    for (const year of (await namesIn(fs, path.join(root, top))).filter((name) => /^\d{4}$/.test(name))) {
      for (const month of (await namesIn(fs, path.join(root, top, year))).filter(isTwoDigits)) {
        for (const day of (await namesIn(fs, path.join(root, top, year, month))).filter(isTwoDigits)) {
          const beginning = `${prefix === '' ? '' : `${prefix}/`}${year}/${month}/${day}/`
          found.push({ beginning, directory: path.join(root, top, year, month, day) })
        }
      }
    }
  }
  return found.sort((x, y) => compareText(x.beginning, y.beginning))
}

const isTwoDigits = (name: string): boolean => /^\d{2}$/.test(name)

const namesIn = async (fs: DiskFs, directory: string): Promise<readonly string[]> => (await ifPresent(fs.readdir(directory))) ?? []

async function* listDirectory(
  fs: DiskFs,
  directory: string,
  beginning: string,
  after: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Listed> {
  const files: { readonly key: string; readonly name: string }[] = []
  for (const name of await namesIn(fs, directory)) {
    if (name.endsWith(SIDECAR_SUFFIX)) continue
    const id = isHashed(name) ? undefined : decodeName(name)
    const key = isHashed(name) ? (await readSidecar(fs, path.join(directory, name)))?.key : id && `${beginning}${id}`
    if (key !== undefined && (after === undefined || compareText(key, after) > 0)) files.push({ key, name })
  }
  for (const { key, name } of files.sort((x, y) => compareText(x.key, y.key))) {
    signal?.throwIfAborted()
    const version = await findVersion(fs, path.join(directory, name), key)
    if (version) yield { key, ...toStoredObject(version) }
  }
}
