import type { Vector } from 'apache-arrow'

/** The UTF-8 of texts one behind the other, and where each begins: without a copy where they lie in one piece. */
export const utf8Of = (texts: Vector): { readonly bytes: Uint8Array; readonly offsets: Int32Array } => {
  const [part, another] = texts.data
  if (part && !another && part.offset === 0) return { bytes: part.values as Uint8Array, offsets: part.valueOffsets as Int32Array }
  const encoded = Array.from({ length: texts.length }, (_, i) => Buffer.from(texts.get(i) as string))
  const offsets = new Int32Array(texts.length + 1)
  for (const [i, text] of encoded.entries()) offsets[i + 1] = (offsets[i] ?? 0) + text.length
  return { bytes: Buffer.concat(encoded), offsets }
}
