import { ONE_TYPE, ZERO_TYPE } from './record.ts'

/** Writes a stored integer as two words, the lower one first. */
export const integerOf = (bytes: Uint8Array, at: number, type: number, words: Int32Array, to: number): void => {
  let high: number
  let low: number
  switch (type) {
    case 1:
      low = ((bytes[at] as number) << 24) >> 24
      high = low >> 31
      break
    case 2:
      low = (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
      high = low >> 31
      break
    case 3:
      low = (((bytes[at] as number) << 24) >> 8) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
      high = low >> 31
      break
    case 4:
      low = word(bytes, at)
      high = low >> 31
      break
    case 5:
      high = (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
      low = word(bytes, at + 2)
      break
    case 6:
      high = word(bytes, at)
      low = word(bytes, at + 4)
      break
    case ZERO_TYPE:
    case ONE_TYPE:
      low = type - ZERO_TYPE
      high = 0
      break
    default:
      throw new Error(`an integer of the store has the serial type ${type}`)
  }
  words[to] = low
  words[to + 1] = high
}

const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
