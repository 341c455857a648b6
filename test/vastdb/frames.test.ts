import { describe, expect, test } from 'bun:test'
import type { Field } from 'apache-arrow'
import fc from 'fast-check'
import { batchOf, batchOfData } from '../../src/vastdb/wire/build.ts'
import { type Chunk, ChunkAssembler, encodeChunk } from '../../src/vastdb/wire/chunks.ts'
import { encodeCompleted, encodeData, encodeFailed, encodeKeepAlive, FrameParser } from '../../src/vastdb/wire/frames.ts'
import { encodeBatchMessage, encodeEnd, encodeSchemaMessage } from '../../src/vastdb/wire/ipc.ts'
import { FINISHED } from '../../src/vastdb/wire/query-headers.ts'
import { columnValues } from '../../src/vastdb/wire/values.ts'
import { WireError } from '../../src/vastdb/wire/wire-error.ts'
import { everyType } from './support/types.ts'

const FIELDS = everyType.map(([field]) => field)
const BATCH = batchOf(
  FIELDS,
  everyType.map(([, values]) => values),
)

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

/** Reads an answer given in pieces; throws what the parser or the assembler throw. */
const readChunks = (pieces: readonly Uint8Array[], fields: readonly Field[], subsplits = 4): Chunk[] => {
  const parser = new FrameParser({ subsplits })
  const assembler = new ChunkAssembler(fields)
  const chunks: Chunk[] = []
  let received = 0
  for (const piece of pieces) {
    received += piece.length
    for (const frame of parser.push(piece)) {
      if (frame.kind === 'completed') assembler.completed(frame.offset)
      const chunk = frame.kind === 'data' ? assembler.accept(frame) : undefined
      if (chunk !== undefined) chunks.push(chunk)
    }
  }
  parser.end()
  if (!parser.done) assembler.ended(received)
  return chunks
}

const contents = (chunks: readonly Chunk[]) =>
  chunks.map(({ stream, nextRowId, batch }) => ({ stream, nextRowId, columns: batch.data.children.map((column) => columnValues(column)) }))

const ANSWER = joined([
  encodeKeepAlive(),
  ...encodeChunk({ stream: 0, nextRowId: 5n, batch: BATCH }),
  ...encodeChunk({ stream: 2, nextRowId: FINISHED, batch: BATCH }, { zstd: true }),
  encodeCompleted(),
])
const WHOLE = contents(readChunks([ANSWER], FIELDS))

const cutAt = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const sorted = [...new Set(cuts.map((cut) => cut % bytes.length))].toSorted((a, b) => a - b)
  return [0, ...sorted].map((from, i) => bytes.subarray(from, sorted[i] ?? bytes.length))
}

describe('the frame parser', () => {
  test('reads all columns of two sub-splits', () => {
    expect(WHOLE).toEqual([
      { stream: 0, nextRowId: 5n, columns: everyType.map(([, values]) => [...values]) },
      { stream: 2, nextRowId: FINISHED, columns: everyType.map(([, values]) => [...values]) },
    ])
  })

  test('gives the same for any cuts between chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), (cuts) => {
        expect(contents(readChunks(cutAt(ANSWER, cuts), FIELDS))).toEqual(WHOLE)
      }),
      { numRuns: 60 },
    )
  })

  test('gives the same byte by byte', () => {
    const pieces = Array.from(ANSWER, (_, i) => ANSWER.subarray(i, i + 1))
    expect(contents(readChunks(pieces, FIELDS))).toEqual(WHOLE)
  })

  test('turns a truncated answer into an error with the byte, or the chunks that are whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: ANSWER.length - 1 }), (length) => {
        try {
          const chunks = contents(readChunks([ANSWER.subarray(0, length)], FIELDS))
          expect(WHOLE.slice(0, chunks.length)).toEqual(chunks)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
          if (error instanceof WireError) expect(error.offset).toBeLessThanOrEqual(length)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('survives flipped bits: an error with the byte, or values', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: ANSWER.length * 8 - 1 }), { minLength: 1, maxLength: 4 }), (bits) => {
        const damaged = ANSWER.slice()
        for (const bit of bits) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        try {
          contents(readChunks([damaged], FIELDS))
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
          if (error instanceof WireError) expect(Number.isSafeInteger(error.offset)).toBe(true)
        }
      }),
      { numRuns: 1500 },
    )
  })

  test('reads the failed marker with its code and ignores what follows', () => {
    const parser = new FrameParser()
    expect(parser.push(joined([encodeFailed(77n), encodeKeepAlive()]))).toEqual([{ kind: 'failed', offset: 0, code: 77n, detail: 0 }])
    expect(parser.done).toBe(true)
    expect(() => parser.end()).not.toThrow()
  })

  test('ignores what follows the completed marker', () => {
    const parser = new FrameParser()
    expect(parser.push(joined([encodeCompleted(), new TextEncoder().encode('{"rows":1}')])).map((frame) => frame.kind)).toEqual([
      'completed',
    ])
    expect(() => parser.end()).not.toThrow()
  })

  test('refuses a stream that was not asked for, at its byte', () => {
    const parser = new FrameParser({ subsplits: 2 })
    expect(() => parser.push(joined([encodeKeepAlive(), encodeData(2, 0n, encodeEnd())]))).toThrow('byte 4: stream 2')
  })

  test('refuses a body above its limit before collecting it', () => {
    const parser = new FrameParser({ maxBody: 16 })
    const message = encodeBatchMessage(batchOf([FIELDS[0] as Field], [Array(1000).fill(true)]))
    expect(() => parser.push(encodeData(0, 0n, message).subarray(0, 400))).toThrow('at most 16')
  })
})

const [first] = everyType
const two = everyType.slice(3, 5).map(([field]) => field)
const data = (stream: number, nextRowId: bigint, message: Uint8Array) => encodeData(stream, nextRowId, message)
const column = (field: Field, values: readonly (number | bigint)[]) => batchOf([field], [values])

describe('chunks', () => {
  const [a, b] = two as [Field, Field]
  const schemaOf = (field: Field) => encodeSchemaMessage(column(field, []).schema)

  test('take their cursor from the frame that completes them', () => {
    const frames = joined([
      data(1, 1n, schemaOf(a)),
      data(1, 2n, encodeBatchMessage(column(a, [1]))),
      data(1, 3n, encodeBatchMessage(column(a, [2]))),
      encodeKeepAlive(),
      data(1, 4n, encodeEnd()),
      data(1, 5n, schemaOf(b)),
      data(1, 6n, encodeBatchMessage(column(b, [1n, 2n]))),
      data(1, 7n, encodeEnd()),
      encodeCompleted(),
    ])
    expect(contents(readChunks([frames], two))).toEqual([
      {
        stream: 1,
        nextRowId: 7n,
        columns: [
          [1, 2],
          [1n, 2n],
        ],
      },
    ])
  })

  test('of interleaved sub-splits do not mix', () => {
    const frames = [0, 1].map((stream) => encodeChunk({ stream, nextRowId: 9n, batch: batchOf(two, [[stream], [BigInt(stream)]]) }))
    const mixed = (frames[0] ?? []).flatMap((frame, i) => [frame, frames[1]?.[i] ?? encodeKeepAlive()])
    expect(contents(readChunks([joined([...mixed, encodeCompleted()])], two)).map((chunk) => chunk.columns)).toEqual([
      [[0], [0n]],
      [[1], [1n]],
    ])
  })

  test('of a column without any batch have no rows', () => {
    const frames = joined([
      data(0, 0n, schemaOf(a)),
      data(0, FINISHED, encodeEnd()),
      data(0, 0n, schemaOf(b)),
      data(0, FINISHED, encodeEnd()),
    ])
    expect(readChunks([frames, encodeCompleted()], two).map((chunk) => chunk.batch.numRows)).toEqual([0])
  })

  test('may hold several leaves in one stream', () => {
    const batch = batchOf(two, [
      [1, 2],
      [3n, 4n],
    ])
    const frames = [encodeSchemaMessage(batch.schema), encodeBatchMessage(batch), encodeEnd()].map((message) => data(0, FINISHED, message))
    expect(contents(readChunks([...frames, encodeCompleted()], two))).toEqual([
      {
        stream: 0,
        nextRowId: FINISHED,
        columns: [
          [1, 2],
          [3n, 4n],
        ],
      },
    ])
  })

  test('without columns count rows', () => {
    const frames = encodeChunk({ stream: 0, nextRowId: FINISHED, batch: batchOfData([], [], 12) })
    expect(readChunks([...frames, encodeCompleted()], []).map((chunk) => chunk.batch.numRows)).toEqual([12])
  })

  test('that are only partly there at the completed marker are an error', () => {
    const frames = joined([data(0, 0n, schemaOf(a)), data(0, FINISHED, encodeEnd()), encodeCompleted()])
    expect(() => readChunks([frames], two)).toThrow('completed after 1 of 2 columns')
  })

  test('whose first column is open at the completed marker are dropped, at the end of the body an error', () => {
    expect(readChunks([data(0, 0n, schemaOf(a)), encodeCompleted()], two)).toEqual([])
    expect(() => readChunks([data(0, 0n, schemaOf(a))], two)).toThrow('the body ends inside a column')
  })

  test('of the wrong type are an error', () => {
    const frames = encodeChunk({ stream: 0, nextRowId: FINISHED, batch: batchOf([first?.[0] as Field], [[true]]) })
    expect(() => readChunks(frames, [a])).toThrow('expected Int32, found Bool')
  })

  test('with columns of different length are an error', () => {
    const frames = joined([
      ...encodeChunk({ stream: 0, nextRowId: 0n, batch: column(a, [1]) }),
      ...encodeChunk({ stream: 0, nextRowId: 0n, batch: column(b, [1n, 2n]) }),
    ])
    expect(() => readChunks([frames], two)).toThrow('columns of 1, 2 rows')
  })
})
