import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Data, TimestampMicrosecond } from 'apache-arrow'
import { isTamsError, TamsError } from '../../src/core/errors.ts'
import { and, compare, eq, everything, isIn, isNull, not, nothing, type Predicate, related } from '../../src/core/predicate.ts'
import { CELL_LIMIT, type Row } from '../../src/storage/schema.ts'
import type { ReadTx, Tables, WriteTx } from '../../src/storage/tables.ts'
import { listsContract } from './table-lists.ts'
import { deliveryRow, flowRow, logEntry, segmentRow, tagRow } from './table-rows.ts'

export interface TablesEngine {
  /** A new, empty store. */
  open(options?: { readonly checkLocks?: boolean }): Promise<Tables>
  /** Whether the engine can tell that a write work waits for something else than its tx. */
  readonly detectsForeignWaits: boolean
}

/** What every engine of `Tables` promises. */
export const tablesContract = (name: string, engine: TablesEngine): void => {
  describe(`Tables on ${name}`, () => {
    let store: Tables

    beforeEach(async () => {
      store = await engine.open()
    })
    afterEach(() => store.close())

    const ids = async (where: Predicate = everything): Promise<readonly string[]> => {
      const page = await store.read((tx) => tx.list('deliveries', { columns: ['id'], where, limit: 1000 }))
      return page.rows.map(({ id }) => id)
    }
    const add = (...rows: readonly Row<'deliveries'>[]): Promise<void> => store.write((tx) => tx.insert('deliveries', rows))

    describe('values', () => {
      test('every type of cell comes back as it was written, at the ends of its range', async () => {
        const flow = flowRow('f', {
          label: 'a\u0000b "\'` 😀 é é',
          read_only: true,
          init_segments: false,
          created: 1_767_323_045_000_001n,
          start_ns: -(2n ** 63n),
          end_ns: 2n ** 63n - 1n,
          segment_count: 9_007_199_254_740_993n,
          description: '',
        })
        const delivery = deliveryRow('d', { attempts: -(2 ** 31), response_status: 2 ** 31 - 1, duration_ms: 0.1, seq: -1n })
        await store.write(async (tx) => {
          await tx.insert('flows', [flow])
          await tx.insert('deliveries', [delivery, deliveryRow('e', { duration_ms: 3 })])
        })
        await store.read(async (tx) => {
          expect(await tx.find('flows', ['f', ''])).toStrictEqual(flow)
          expect(await tx.find('deliveries', ['d'])).toStrictEqual(delivery)
          expect((await tx.list('flows', { where: everything, limit: 5 })).rows).toStrictEqual([flow])
          expect((await tx.find('deliveries', ['e']))?.duration_ms).toBe(3)
        })
      })

      test('a key that is not there, or could never be, is found as undefined', async () => {
        const found = await store.read(async (tx) => [await tx.find('flows', ['x', '']), await tx.find('flows', ['\ud800', ''])])
        expect(found).toEqual([undefined, undefined])
      })

      test('a cell above the limit is refused, naming table and column, and counted in UTF-8 bytes', async () => {
        await add(deliveryRow('fits', { error: 'x'.repeat(CELL_LIMIT) }))
        const refused = add(deliveryRow('big', { error: 'é'.repeat(CELL_LIMIT / 2 + 1) }))
        await expect(refused).rejects.toMatchObject({ code: 'too_large', message: expect.stringContaining('deliveries.error') })
        const update = store.write((tx) => tx.update('deliveries', eq('id', 'fits'), { error: 'x'.repeat(CELL_LIMIT + 1) }))
        await expect(update).rejects.toMatchObject({ code: 'too_large' })
        expect(await ids()).toEqual(['fits'])
      })

      test('ill-formed Unicode never reaches a table, nor a comparison', async () => {
        await expect(add(deliveryRow('\udc00'))).rejects.toMatchObject({ code: 'invalid' })
        await add(deliveryRow('\ufffd'))
        await expect(ids(eq('id', 'x\ud800'))).rejects.toMatchObject({ code: 'invalid' })
      })

      test('a cell of a wrong type is a mistake of the program, not of a client', async () => {
        for (const columns of [{ seq: 1 }, { attempts: 1.5 }, { attempts: 2 ** 31 }, { duration_ms: Number.NaN }, { status: null }]) {
          const error = await add(deliveryRow('x', columns as Partial<Row<'deliveries'>>)).catch((reason: unknown) => reason)
          expect(error).toBeInstanceOf(Error)
          expect(error).not.toBeInstanceOf(TamsError)
        }
        await expect(store.write((tx) => tx.update('deliveries', everything, { id: 'new' }))).rejects.toThrow('key column')
        await expect(ids(eq('no_column', 'x'))).rejects.toThrow('no_column')
        await expect(ids(eq('seq', 'x'))).rejects.toThrow('seq')
      })
    })

    describe('writes', () => {
      test('a write is read by every read that starts after it', async () => {
        await add(deliveryRow('a'))
        expect(await ids()).toEqual(['a'])
      })

      test('a work sees what it wrote itself, before anyone else does', async () => {
        await store.write(async (tx) => {
          await tx.insert('deliveries', [deliveryRow('a'), deliveryRow('b')])
          expect(await tx.count('deliveries', everything)).toBe(2)
          expect(await tx.update('deliveries', eq('id', 'a'), { status: 'done', attempts: 3 })).toBe(1)
          expect((await tx.find('deliveries', ['a']))?.attempts).toBe(3)
          expect(await tx.delete('deliveries', eq('status', 'done'))).toBe(1)
          expect((await tx.list('deliveries', { where: everything, limit: 9 })).rows.map(({ id }) => id)).toEqual(['b'])
        })
        expect(await ids()).toEqual(['b'])
      })

      test('a work that throws leaves nothing, and the error is its own', async () => {
        const failure = new Error('mine')
        const failing = store.write(async (tx) => {
          await tx.insert('deliveries', [deliveryRow('a')])
          await tx.append([logEntry('x')])
          throw failure
        })
        expect(await failing.catch((error: unknown) => error)).toBe(failure)
        expect(await ids()).toEqual([])
        expect(await store.read((tx) => tx.readLog(0n, 10))).toEqual([])
      })

      test('update and delete give the number of rows', async () => {
        await add(deliveryRow('a'), deliveryRow('b'), deliveryRow('c', { status: 'done' }))
        const counts = await store.write(async (tx) => [
          await tx.update('deliveries', eq('status', 'pending'), { attempts: 1, error: null }),
          await tx.update('deliveries', nothing, { attempts: 9 }),
          await tx.delete('deliveries', compare('attempts', '>=', 1)),
          await tx.delete('deliveries', eq('id', 'absent')),
        ])
        expect(counts).toEqual([2, 0, 2, 0])
      })

      test('put inserts rows that are new and replaces those that are there', async () => {
        await add(deliveryRow('a', { error: 'old', attempts: 1 }))
        await store.write((tx) => tx.put('deliveries', [deliveryRow('a', { attempts: 2 }), deliveryRow('b', { attempts: 3 })]))
        const page = await store.read((tx) => tx.list('deliveries', { where: everything, limit: 9 }))
        expect(page.rows).toEqual([deliveryRow('a', { attempts: 2 }), deliveryRow('b', { attempts: 3 })])
      })

      test('an insert of an existing key throws exists and inserts none of its rows; the work can go on', async () => {
        await add(deliveryRow('b', { status: 'first' }))
        await store.write(async (tx) => {
          await tx.insert('deliveries', [deliveryRow('before')])
          const error = await tx
            .insert('deliveries', [deliveryRow('a'), deliveryRow('b'), deliveryRow('c')])
            .catch((reason: unknown) => reason)
          expect(isTamsError(error, 'exists')).toBe(true)
          await tx.insert('deliveries', [deliveryRow('after')])
        })
        expect(await ids()).toEqual(['after', 'b', 'before'])
        expect((await store.read((tx) => tx.find('deliveries', ['b'])))?.status).toBe('first')
      })

      test('the same key twice in one insert throws exists', async () => {
        await expect(add(deliveryRow('a'), deliveryRow('a'))).rejects.toMatchObject({ code: 'exists' })
        expect(await ids()).toEqual([])
      })

      test('keys that are known to be vacant are inserted like others, also where a row went before', async () => {
        const locked = (work: (tx: WriteTx) => Promise<unknown>) =>
          store.write(async (tx) => {
            await tx.lock(['flow:f'])
            await work(tx)
          })
        const insert = (object_id: string) => (tx: WriteTx) =>
          tx.insert('segments', [segmentRow('f', 5n, { object_id, tags: object_id === 'a' ? '{}' : null })], { vacant: true })
        const remove = (tx: WriteTx) => tx.delete('segments', and(eq('flow_id', 'f'), eq('start_ns', 5n)))
        const stored = async () => {
          const { rows } = await store.read((tx) => tx.list('segments', { where: everything, limit: 10 }))
          return rows.map(({ object_id, tags }) => [object_id, tags])
        }
        await locked(insert('a'))
        await locked(async (tx) => {
          await remove(tx)
          await insert('b')(tx)
        })
        expect(await stored()).toEqual([['b', null]])
        const works = [remove, insert('c'), insert('d'), remove, insert('a')].map(locked)
        const results = await Promise.allSettled(works)
        expect(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'done'))).toEqual([
          'done',
          'done',
          'exists',
          'done',
          'done',
        ])
        expect(await stored()).toEqual([['a', '{}']])
        await Promise.all([remove, insert('e'), remove].map(locked))
        expect(await stored()).toEqual([])
      })

      test('of many concurrent works each succeeds or fails alone', async () => {
        const works = Array.from({ length: 200 }, (_, i) =>
          store.write(async (tx) => {
            await tx.insert('deliveries', [deliveryRow(`d${String(i).padStart(3, '0')}`)])
            await tx.append([logEntry(`t${i}`)])
            if (i % 7 === 3) throw new Error(`no ${i}`)
            return i
          }),
        )
        const results = await Promise.allSettled(works)
        const good = results.flatMap((result, i) => (result.status === 'fulfilled' && result.value === i ? [i] : []))
        expect(good).toEqual(Array.from({ length: 200 }, (_, i) => i).filter((i) => i % 7 !== 3))
        expect(results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))).toContain('Error: no 10')
        expect(await ids()).toEqual(good.map((i) => `d${String(i).padStart(3, '0')}`))
        expect(await store.read((tx) => tx.readLog(0n, 1000))).toHaveLength(good.length)
      })

      test('of 64 works that insert one key under its lock exactly one succeeds', async () => {
        const works = Array.from({ length: 64 }, (_, i) =>
          store.write(async (tx) => {
            await tx.lock(['flow:f'])
            if (await tx.find('flows', ['f', ''])) throw new TamsError('exists', 'there already')
            await tx.insert('flows', [flowRow('f', { label: `${i}` })])
          }),
        )
        const results = await Promise.allSettled(works)
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        expect(results.filter((result) => result.status === 'rejected' && isTamsError(result.reason, 'exists'))).toHaveLength(63)
      })

      test('read, then write, under one lock loses no update', async () => {
        await add(deliveryRow('counter'))
        const increment = () =>
          store.write(async (tx) => {
            await tx.lock(['counter'])
            const row = await tx.find('deliveries', ['counter'])
            await tx.update('deliveries', eq('id', 'counter'), { seq: (row?.seq ?? 0n) + 1n })
          })
        await Promise.all(Array.from({ length: 50 }, increment))
        expect((await store.read((tx) => tx.find('deliveries', ['counter'])))?.seq).toBe(51n)
      })

      test.if(engine.detectsForeignWaits)('a work that waits for something foreign is rolled back; the others go on', async () => {
        const never = new Promise<never>(() => {})
        let late: WriteTx | undefined
        const results = await Promise.allSettled([
          add(deliveryRow('before')),
          store.write(async (tx) => {
            late = tx
            await tx.insert('deliveries', [deliveryRow('foreign')])
            await never
          }),
          add(deliveryRow('after')),
        ])
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
        expect(results[1]).toMatchObject({ reason: { message: expect.stringContaining('awaited something else') } })
        expect(await ids()).toEqual(['after', 'before'])
        await expect(late?.insert('deliveries', [deliveryRow('late')])).rejects.toThrow('ended')
      })

      test('a tx is closed when its work has ended', async () => {
        const kept: (ReadTx | WriteTx)[] = []
        await store.write(async (tx) => kept.push(tx))
        await store.read(async (tx) => kept.push(tx))
        await store
          .write(async (tx) => {
            kept.push(tx)
            throw new Error('failed')
          })
          .catch(() => {})
        expect(kept).toHaveLength(3)
        for (const tx of kept) await expect(tx.find('meta', ['x'])).rejects.toThrow('ended')
      })

      test('an insert without the lock that its table demands throws where locks are checked', async () => {
        const strict = await engine.open({ checkLocks: true })
        try {
          await expect(strict.write((tx) => tx.insert('flows', [flowRow('f')]))).rejects.toThrow('flow:f')
          const wrong = strict.write(async (tx) => {
            await tx.lock(['flow:g'])
            await tx.insert('flows', [flowRow('f')])
          })
          await expect(wrong).rejects.toThrow('flow:f')
          await strict.write(async (tx) => {
            await tx.lock(['flow:e', 'flow:f'])
            await tx.insert('flows', [flowRow('f')])
            await tx.insert('tags', [tagRow('f', 'n', 'v')])
          })
          expect(await strict.read((tx) => tx.count('flows', everything))).toBe(1)
        } finally {
          await strict.close()
        }
      })
    })

    describe('snapshots', () => {
      test('a read sees one state, whatever is committed meanwhile', async () => {
        await add(deliveryRow('a'))
        const reading = Promise.withResolvers<void>()
        const written = Promise.withResolvers<void>()
        const counts = store.read(async (tx) => {
          const first = await tx.count('deliveries', everything)
          reading.resolve()
          await written.promise
          return [
            first,
            await tx.count('deliveries', everything),
            (await tx.list('deliveries', { where: everything, limit: 9 })).rows.length,
          ]
        })
        await reading.promise
        await add(deliveryRow('b'))
        const now = await ids()
        written.resolve()
        expect(now).toEqual(['a', 'b'])
        expect(await counts).toEqual([1, 1, 1])
      })

      test('a read never sees half of a write', async () => {
        const pairs = Array.from({ length: 40 }, (_, i) =>
          store.write(async (tx) => {
            await tx.insert('deliveries', [deliveryRow(`${i}`)])
            await tx.append([logEntry(`${i}`)])
          }),
        )
        const reads = Array.from({ length: 20 }, () =>
          store.read(async (tx) => [await tx.count('deliveries', everything), (await tx.readLog(0n, 1000)).length]),
        )
        for (const [rows, entries] of await Promise.all(reads)) expect(rows).toBe(entries ?? -1)
        await Promise.all(pairs)
      })
    })

    describe('the version of a table', () => {
      test('differs after each commit that touched the table, and only then', async () => {
        const before = await store.version('deliveries')
        await store.write((tx) => tx.append([logEntry('x')]))
        await store.write(async (tx) => tx.update('deliveries', nothing, { attempts: 1 }))
        expect(await store.version('deliveries')).toBe(before)
        const seen = new Set([before])
        await add(deliveryRow('a'))
        seen.add(await store.version('deliveries'))
        await store.write((tx) => tx.update('deliveries', everything, { attempts: 1 }))
        seen.add(await store.version('deliveries'))
        await store.write((tx) => tx.put('deliveries', [deliveryRow('a')]))
        seen.add(await store.version('deliveries'))
        await store.write((tx) => tx.delete('deliveries', everything))
        seen.add(await store.version('deliveries'))
        expect(seen.size).toBe(5)
      })

      test('a failed write does not change it', async () => {
        const before = await store.version('deliveries')
        await store
          .write(async (tx) => {
            await tx.insert('deliveries', [deliveryRow('a')])
            throw new Error('failed')
          })
          .catch(() => {})
        expect(await store.version('deliveries')).toBe(before)
      })

      test('one read inside a write that changed the table equals none that others see', async () => {
        const before = await store.version('deliveries')
        const [inside] = await Promise.all([
          store.write(async (tx) => {
            await tx.insert('deliveries', [deliveryRow('a')])
            return tx.version('deliveries')
          }),
          add(deliveryRow('b')),
        ])
        expect([before, await store.version('deliveries')]).not.toContain(inside)
      })
    })

    describe('the ordered log', () => {
      test('keeps the order of works and of their entries, and numbers without repeating', async () => {
        await Promise.all(Array.from({ length: 30 }, (_, i) => store.write((tx) => tx.append([logEntry(`${i}a`), logEntry(`${i}b`)]))))
        const log = await store.read((tx) => tx.readLog(0n, 1000))
        const seqs = log.map(({ seq }) => seq)
        expect(seqs).toEqual(seqs.toSorted((a, b) => (a < b ? -1 : 1)))
        expect(new Set(seqs).size).toBe(60)
        for (let i = 0; i < log.length; i += 2) expect(log[i + 1]?.type).toBe(log[i]?.type.replace('a', 'b') ?? '')
        const middle = log[29]?.seq ?? 0n
        expect(await store.read((tx) => tx.readLog(middle, 5))).toEqual(log.slice(30, 35))
      })

      test('a number is not given twice, not even when its row was deleted', async () => {
        await store.write((tx) => tx.append([logEntry('a'), logEntry('b')]))
        const last = (await store.read((tx) => tx.readLog(0n, 9))).at(-1)?.seq ?? 0n
        await store.write((tx) => tx.delete('event_log', everything))
        await store.write((tx) => tx.append([logEntry('c')]))
        const log = await store.read((tx) => tx.readLog(last, 9))
        expect(log.map(({ type }) => type)).toEqual(['c'])
      })
    })

    describe('scan', () => {
      test('gives the rows that a list gives, in Arrow columns with text as a dictionary', async () => {
        const rows = Array.from({ length: 300 }, (_, i) =>
          deliveryRow(`d${String(i).padStart(3, '0')}`, {
            seq: 2n ** 62n + BigInt(i),
            flow_id: i % 3 === 0 ? null : `flow😀${i % 5}`,
            attempts: -i,
            response_status: i % 4 === 0 ? null : i,
            duration_ms: i % 5 === 0 ? null : i / 8,
            next_attempt: BigInt(i),
          }),
        )
        await add(...rows)
        const columns = ['id', 'seq', 'flow_id', 'attempts', 'response_status', 'duration_ms'] as const
        const scanned = await store.read((tx) => collect(tx, columns, compare('attempts', '<', 0)))
        expect(scanned.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1))).toEqual(
          rows.slice(1).map((row) => Object.fromEntries(columns.map((column) => [column, row[column]]))),
        )
      })

      test('carries booleans, and only their nulls', async () => {
        const values = [true, false, null, true, null, null, false, true, true, false]
        await store.write((tx) =>
          tx.insert(
            'flows',
            values.map((value, i) => flowRow(`f${i}`, { init_segments: value, read_only: value === true })),
          ),
        )
        const rows = await store.read(async (tx) => {
          const found: unknown[] = []
          for await (const batch of tx.scan('flows', { columns: ['id', 'read_only', 'init_segments'], where: everything }))
            for (const row of batch) found.push(row.toJSON())
          return found
        })
        expect(rows).toHaveLength(values.length)
        expect(rows).toEqual(
          expect.arrayContaining(values.map((value, i) => ({ id: `f${i}`, read_only: value === true, init_segments: value }))),
        )
      })

      test('carries times as whole microseconds', async () => {
        const times = [1_767_323_045_000_001n, -1n, 0n]
        await add(...times.map((time, i) => deliveryRow(`${i}`, { next_attempt: time })))
        const found = await store.read(async (tx) => {
          const values: bigint[] = []
          for await (const batch of tx.scan('deliveries', { columns: ['next_attempt'], where: everything })) {
            const { values: data, offset, length } = batch.data.children[0] as Data<TimestampMicrosecond>
            values.push(...(data as unknown as BigInt64Array).subarray(offset, offset + length))
          }
          return values
        })
        expect(found.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)))
      })

      test('gives nothing for nothing', async () => {
        expect(await store.read((tx) => collect(tx, ['id'], everything))).toEqual([])
      })

      test('two scans and the other reads of one transaction see one state', async () => {
        await add(deliveryRow('a'))
        const result = await store.read(async (tx) => {
          const counted = await tx.count('deliveries', everything)
          const first = await collect(tx, ['id'], everything)
          await add(deliveryRow(crypto.randomUUID()))
          const second = await collect(tx, ['id'], everything)
          return [counted, first.length, second.length, await tx.count('deliveries', everything)]
        })
        expect(new Set(result).size).toBe(1)
      })

      test('ends when its reader stops or its signal aborts', async () => {
        await add(deliveryRow('a'))
        await store.read(async (tx) => {
          for await (const batch of tx.scan('deliveries', { columns: ['id'], where: everything })) {
            expect(batch.numRows).toBe(1)
            break
          }
        })
        const controller = new AbortController()
        controller.abort(new Error('changed my mind'))
        const aborted = store.read((tx) => collect(tx, ['id'], everything, controller.signal))
        await expect(aborted).rejects.toThrow('changed my mind')
      })
    })

    test('a closed store answers unavailable', async () => {
      await store.close()
      await expect(add(deliveryRow('a'))).rejects.toMatchObject({ code: 'unavailable' })
      await expect(store.version('flows')).rejects.toMatchObject({ code: 'unavailable' })
      await expect(store.check()).rejects.toMatchObject({ code: 'unavailable' })
    })

    test('closing waits for writes in progress', async () => {
      const writes = Array.from({ length: 20 }, (_, i) => add(deliveryRow(`${i}`)))
      await store.close()
      expect((await Promise.allSettled(writes)).every(({ status }) => status === 'fulfilled')).toBe(true)
    })

    test('check resolves while the store can answer', async () => {
      await expect(store.check()).resolves.toBeUndefined()
    })

    test('a page of segments: the predecessor and a range of one timeline, nothing of another', async () => {
      await store.write(async (tx) => {
        await tx.insert(
          'segments',
          [10n, 0n, 30n, 20n, -5n].map((start) => segmentRow('f', start)),
        )
        await tx.insert('segments', [segmentRow('f', 15n, { timeline_id: 'old' }), segmentRow('g', 12n)])
      })
      const live = and(eq('flow_id', 'f'), eq('timeline_id', 'timeline'))
      await store.read(async (tx) => {
        const before = await tx.list('segments', {
          where: and(live, compare('start_ns', '<=', 12n)),
          orderBy: [{ column: 'start_ns', direction: 'desc' }],
          limit: 1,
        })
        expect(before.rows.map((row) => row.start_ns)).toEqual([10n])
        const range = and(live, compare('start_ns', '>=', 10n), compare('start_ns', '<', 30n))
        expect((await tx.list('segments', { where: range, limit: 10 })).rows.map((row) => row.start_ns)).toEqual([10n, 20n])
      })
    })

    test('rows with and without a related row', async () => {
      await store.write(async (tx) => {
        await tx.insert('flows', [flowRow('a'), flowRow('b'), flowRow('c')])
        await tx.insert('tags', [tagRow('a', 'site', 'x'), tagRow('b', 'site', 'y'), tagRow('c', 'site', 'x', 'source')])
      })
      const tag = (where: Predicate, negated = false) =>
        related('tags', { entity_id: 'id' }, and(eq('entity_type', 'flow'), where), negated)
      const found = async (where: Predicate) =>
        (await store.read((tx) => tx.list('flows', { where, columns: ['id'], limit: 9 }))).rows.map(({ id }) => id)
      expect(await found(tag(eq('name', 'site')))).toEqual(['a', 'b'])
      expect(await found(tag(eq('name', 'site'), true))).toEqual(['c'])
      expect(await found(not(tag(eq('value', 'x'))))).toEqual(['b', 'c'])
      expect(await found(not(tag(eq('value', 'x'), true)))).toEqual(['a'])
      expect(await found(and(tag(isIn('value', ['x', 'y'])), tag(eq('value', 'x'), true)))).toEqual(['b'])
      const deep = related('deliveries', { webhook_id: 'entity_id' }, isNull('error'))
      expect(await found(tag(deep))).toEqual([])
      await add(deliveryRow('d', { webhook_id: 'b' }))
      expect(await found(tag(deep))).toEqual(['b'])
    })

    listsContract(() => store)
  })
}

const collect = async (
  tx: ReadTx,
  columns: readonly (keyof Row<'deliveries'>)[],
  where: Predicate,
  signal?: AbortSignal,
): Promise<Record<string, unknown>[]> => {
  const rows: Record<string, unknown>[] = []
  for await (const batch of tx.scan('deliveries', { columns, where, ...(signal ? { signal } : {}) }))
    for (const row of batch) rows.push(row.toJSON())
  return rows
}
