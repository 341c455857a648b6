import type { StoredObject } from '../media.ts'
import type { FileFacts } from './disk-fs.ts'

/**
 * What a data file does not say about itself. An object is there when both files are and agree. Two versions are listed while
 * one object replaces another: the data file's size and modification time tell which of them it is, so that the rename of
 * the data file alone decides, and a crash on either side of it leaves a complete object.
 */
export interface Sidecar {
  readonly key: string
  /** Newest first. */
  readonly versions: readonly Version[]
}

export interface Version {
  readonly size: number
  /** Milliseconds since the Unix epoch: what file systems and archives keep exactly. */
  readonly modified_ms: number
  /** Hexadecimal. */
  readonly md5: string
  readonly content_type: string
}

export const printSidecar = (sidecar: Sidecar): string => `${JSON.stringify(sidecar)}\n`

/** undefined when the text is damaged. */
export const parseSidecar = (text: string): Sidecar | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isSidecar(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null

const isSidecar = (value: unknown): value is Sidecar =>
  isRecord(value) && typeof value.key === 'string' && Array.isArray(value.versions) && value.versions.every(isVersion)

const isVersion = (value: unknown): value is Version =>
  isRecord(value) &&
  typeof value.size === 'number' &&
  typeof value.modified_ms === 'number' &&
  typeof value.md5 === 'string' &&
  typeof value.content_type === 'string'

/** The version that the data file is. By size alone only where a copy of the directory did not keep the times. */
export const versionOf = (sidecar: Sidecar, facts: FileFacts): Version | undefined => {
  const sameSize = sidecar.versions.filter(({ size }) => size === facts.size)
  return sameSize.find(({ modified_ms }) => modified_ms === Math.round(facts.mtimeMs)) ?? sameSize[0]
}

export const toStoredObject = ({ size, md5, content_type, modified_ms }: Version): StoredObject => ({
  size,
  etag: `"${md5}"`,
  contentType: content_type,
  modifiedUs: BigInt(modified_ms) * 1000n,
})
