/**
 * A version 5 UUID of a name: the same file gives the same ids in each run, which is what makes an ingest resumable.
 * RFC 9562 section 5.5.
 */
export const namedUuid = (namespace: string, name: string): string => {
  const digest = new Bun.CryptoHasher('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
  const bytes = Uint8Array.from(digest.subarray(0, 16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toHex()
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Namespace of everything `tams ingest` names by content. */
export const INGEST_NAMESPACE = '5f4d5d3a-0a53-4d5e-9c0b-7d1a3e6f2b10'

/** SHA-256 of a file as hexadecimal text, read in pieces. */
export const hashFile = async (path: string): Promise<string> => {
  const hasher = new Bun.CryptoHasher('sha256')
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk)
  return hasher.digest('hex')
}
