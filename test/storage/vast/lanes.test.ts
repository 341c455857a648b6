import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { TamsError } from '../../../src/core/errors.ts'
import { everything } from '../../../src/core/predicate.ts'
import { Claims, TakenElsewhere } from '../../../src/storage/vast/claims.ts'
import type { VastTables } from '../../../src/storage/vast/index.ts'
import { deliveryRow } from '../../contract/table-rows.ts'
import { type Emulator, startEmulator } from '../../emulators/vast/index.ts'
import { failureOf, openStore, requestsOf } from './stores.ts'

describe('what a batch has taken', () => {
  test('no other has until it ends', () => {
    const claims = new Claims()
    const first = claims.open()
    first.take(['a', 'b'])
    first.take(['a'])
    first.end()
    const second = claims.open()
    second.take(['b'])
    const third = claims.open()
    expect(() => third.take(['c', 'b'])).toThrow(TakenElsewhere)
    // None of the names was taken.
    second.take(['c'])
  })

  test('those that began before its end never have, for they do not see what it wrote', () => {
    const claims = new Claims()
    const [first, beside] = [claims.open(), claims.open()]
    first.take(['a'])
    first.end()
    expect(() => beside.take(['a'])).toThrow(TakenElsewhere)
    const later = claims.open()
    later.take(['a'])
    later.end()
    expect(() => beside.take(['a'])).toThrow(TakenElsewhere)
    beside.end()
    claims.open().take(['a'])
  })
})

let emulator: Emulator
let store: VastTables
beforeAll(async () => {
  emulator = await startEmulator()
  store = await openStore(emulator)
})
afterEach(() => emulator.faults.clear())
afterAll(async () => {
  await store.close()
  await emulator.close()
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Starts a write whose commit takes long, and goes on when that commit is under way. `ended` hears of its end. */
const startSlowWrite = async (lock: string, id: string, ended: string[]): Promise<() => Promise<void>> => {
  emulator.faults.add({ kind: 'delay', ms: 300, method: 'PUT', command: 'transaction' })
  const commits = emulator.requests.get('PUT transaction') ?? 0
  const write = async () => {
    await store.write(async (tx) => {
      await tx.lock([lock])
      await tx.insert('deliveries', [deliveryRow(id)])
    })
    ended.push(id)
  }
  const written = write()
  while ((emulator.requests.get('PUT transaction') ?? 0) === commits) await turn()
  // In a function, so that nobody waits for it here.
  return () => written
}

describe('while a batch is being committed', () => {
  test('another one with other locks overtakes it', async () => {
    const ended: string[] = []
    const slow = await startSlowWrite('l1', 'slow', ended)
    await store.write(async (tx) => {
      await tx.lock(['l2'])
      await tx.insert('deliveries', [deliveryRow('quick')])
    })
    ended.push('quick')
    await slow()
    expect(ended).toEqual(['quick', 'slow'])
  })

  test('one with the same lock waits for it and sees what it wrote, without a conflict', async () => {
    const ended: string[] = []
    const slow = await startSlowWrite('l3', 'before', ended)
    const after = store.write(async (tx) => {
      await tx.lock(['l3'])
      return (await tx.find('deliveries', ['before']))?.id
    })
    expect(await after).toBe('before')
    await slow()
  })

  test('one that inserts the same row without a lock finds it there', async () => {
    const slow = await startSlowWrite('l4', 'twice', [])
    const again = failureOf(store.write((tx) => tx.insert('deliveries', [deliveryRow('twice')])))
    await slow()
    expect(await again).toMatchObject({ code: 'exists' })
    expect(await store.read((tx) => tx.count('deliveries', everything))).toBe(4)
  })
})

describe('an insert where a row is', () => {
  test('is heard of by the work before any error of its own', async () => {
    await store.write((tx) => tx.insert('deliveries', [deliveryRow('there')]))
    const write = store.write(async (tx) => {
      await tx.insert('deliveries', [deliveryRow('there')])
      throw new TamsError('invalid', 'too late')
    })
    expect(await failureOf(write)).toMatchObject({ code: 'exists' })
  })

  test('fails alone: the others of its batch are written', async () => {
    const results = await Promise.allSettled(
      ['other', 'there', 'another'].map((id) => store.write((tx) => tx.insert('deliveries', [deliveryRow(id)]))),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })
})

describe('reads made ahead', () => {
  test('are not made again by the works that make them, one after the other', async () => {
    const ids = [...Array(20).keys()].map((n) => `ahead-${n}`)
    const work = (id: string) =>
      store.write(async (tx) => {
        tx.prefetch((ahead) => ahead.find('deliveries', [id]), [])
        await tx.lock(['l5'])
        if (!(await tx.find('deliveries', [id]))) await tx.insert('deliveries', [deliveryRow(id)])
      })
    const counted = await requestsOf(emulator, () => Promise.all(ids.map(work)))
    // The deliveries and the lock's row.
    expect(counted).toMatchObject({ 'GET data': 2, 'POST rows': 2 })
  })

  test('that fail are nobody’s failure', async () => {
    const write = store.write(async (tx) => {
      tx.prefetch(() => Promise.reject(new Error('ahead')), [])
      await tx.insert('deliveries', [deliveryRow('calm')])
      return 'written'
    })
    expect(await write).toBe('written')
  })
})

test('callers who were answered together and come back one after another share the next batch', async () => {
  const insert = (id: string) => store.write((tx) => tx.insert('deliveries', [deliveryRow(id)]))
  await Promise.all(Array.from({ length: 20 }, (_, n) => insert(`together-${n}`)))
  const made = await requestsOf(emulator, async () => {
    const written: Promise<void>[] = []
    for (let n = 0; n < 20; n++) {
      written.push(insert(`behind-${n}`))
      await turn()
    }
    await Promise.all(written)
  })
  // One where the machine is quiet; without waiting for them there are four and more.
  expect(made['PUT transaction']).toBeLessThanOrEqual(2)
})
