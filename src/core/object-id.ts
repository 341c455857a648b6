const TIME_DIGITS = 14
const RANDOM_BYTES = 9

const randomBytes = (): Uint8Array => crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))

/**
 * An id for a media object that we allocate: 32 lower-case hexadecimal digits, 14 of `nowUs` (microseconds since the Unix epoch)
 * and 72 random bits. Ids of later microseconds sort behind earlier ones, so that an index of them grows at its end; those of one
 * microsecond sort in any order. Opaque to clients, and nothing may parse it.
 */
export const newObjectId = (nowUs: bigint, random: () => Uint8Array = randomBytes): string =>
  nowUs.toString(16).padStart(TIME_DIGITS, '0') + random().subarray(0, RANDOM_BYTES).toHex()

/** `count` ids in ascending order, as if made in `count` successive microseconds from `nowUs` on. */
export const newObjectIds = (nowUs: bigint, count: number, random: () => Uint8Array = randomBytes): string[] =>
  Array.from({ length: count }, (_, i) => newObjectId(nowUs + BigInt(i), random))
