import { isTamsError } from '../src/core/errors.ts'
import { yieldToOtherThreads } from '../src/core/thread-priority.ts'
import { type PackedBatch, unpackBatch } from './batch-transfer.ts'
import { Engine, LOADED, memoryFailure } from './engine.ts'
import type { Calls, DeriveOrder, EngineAnswer, EngineRequest, Failure, Loaded, LoadOrder, Method, QueryOrder } from './engine-protocol.ts'
import { FlowIndex } from './flow-index.ts'
import { ParquetWriter } from './formats/parquet.ts'
import { type DerivedColumn, type LoadedTable, load } from './load.ts'
import { sumPairs } from './pair-sums.ts'
import { quoteName } from './quote-name.ts'
import { keepRepeatedKeys } from './repeated-keys.ts'
import type { ResultTable } from './result.ts'

// The thread that DuckDB is used from: copying batches into tables and turning result chunks into rows would hold up requests.

declare const self: Worker

yieldToOtherThreads()

let engine: Engine | undefined
const parquet = new ParquetWriter()
const indexes = new Map<string, FlowIndex>()
const tables = new Map<string, LoadedTable>()
const queries = new Map<number, AbortController>()
const loads = new Map<number, Arrivals>()
const running = new Set<Promise<void>>()
let ending = false

const answer = (message: EngineAnswer, transfer: ArrayBuffer[] = []): void => self.postMessage(message, transfer)

// A thread that dies while native code works for it takes the process with it: whatever goes wrong, what runs has to end first.
const crash = (error: unknown): void => {
  if (ending) return
  answer({ type: 'crashed', failure: failureOf(error) })
  void windDown().finally(() => answer({ type: 'ended' }))
}
process.on('uncaughtException', crash)
process.on('unhandledRejection', crash)

self.onmessage = ({ data }: MessageEvent<EngineRequest>) => {
  try {
    receive(data)
  } catch (error) {
    crash(error)
  }
}

const receive = (data: EngineRequest): void => {
  if (ending) return
  switch (data.type) {
    case 'call':
      if (data.method === 'close') void handle(data)
      else {
        const call = handle(data)
        running.add(call)
        void call.finally(() => running.delete(call))
      }
      break
    case 'abort':
      queries.get(data.id)?.abort(new Error('aborted'))
      loads.get(data.id)?.abort()
      break
    case 'batch':
      loads.get(data.id)?.push(data.batch)
      break
    case 'end':
      loads.get(data.id)?.push(undefined)
      break
    default:
      throw new Error(`unhandled ${data satisfies never}`)
  }
}

type Call = Extract<EngineRequest, { type: 'call' }>

const handle = async (call: Call): Promise<void> => {
  try {
    answer({ type: 'done', id: call.id, value: await carryOut(call) })
  } catch (error) {
    answer({ type: 'failed', id: call.id, failure: failureOf(memoryFailure(error) ?? error) })
  }
}

const carryOut = async (call: Call): Promise<Calls[Method]['answers']> => {
  switch (call.method) {
    case 'open':
      engine = await Engine.open(call.asks)
      return null
    case 'query':
      return abortable(call.id, (signal) => answerQuery(call.asks, signal))
    case 'derive':
      return abortable(call.id, (signal) => deriveTable(call.asks, signal))
    case 'parse':
      return (await opened().parse(call.asks)) as null
    case 'memoryBytes':
      return opened().memoryBytes()
    case 'load':
      return loadTable(call.id, call.asks)
    case 'drop':
      await tables.get(call.asks)?.drop()
      tables.delete(call.asks)
      return null
    case 'compare':
      return indexOf(call.asks.to).differenceFrom(indexOf(call.asks.from), call.asks.most)
    case 'dropIndex':
      indexes.delete(call.asks)
      return null
    case 'parquet':
      return parquet.write(call.asks)
    case 'close':
      await windDown()
      return null
    default:
      throw new Error(`unhandled ${call satisfies never}`)
  }
}

const abortable = async <T>(id: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const abort = new AbortController()
  queries.set(id, abort)
  try {
    return await work(abort.signal)
  } finally {
    queries.delete(id)
  }
}

/** Interrupts what runs, waits until it has ended, and closes the databases. */
const windDown = async (): Promise<void> => {
  ending = true
  for (const query of queries.values()) query.abort(new Error('the analytics engine is closed'))
  for (const load of loads.values()) load.abort()
  await Promise.all(running)
  await parquet.close()
  engine?.close()
}

const opened = (): Engine => {
  if (!engine) throw new Error('the engine is not open')
  return engine
}

const indexOf = (name: string): FlowIndex => {
  const index = indexes.get(name)
  if (!index) throw new Error(`there is no numbering of flows ${name}`)
  return index
}

const loadTable = async (id: number, { name, columns, flow, idsUpTo = 0 }: LoadOrder): Promise<Loaded> => {
  const arrivals = new Arrivals(() => answer({ type: 'taken', id }))
  loads.set(id, arrivals)
  const numbering = flow?.kind === 'numbering' ? new FlowIndex(flow.like === undefined ? undefined : indexes.get(flow.like)) : undefined
  const derived: DerivedColumn | undefined = flow?.kind === 'linking' ? indexOf(flow.index).linking(flow.hiding) : numbering?.numbering
  try {
    const table = await load(opened(), { name, columns, derived, batches: arrivals.batches() })
    tables.set(name, table)
    numbering?.complete()
    if (numbering && flow) indexes.set(flow.index, numbering)
    const { select, rowsScanned, bytes } = table
    return { name, select, rowsScanned, bytes, flowIds: numbering?.idsUpTo(idsUpTo), hides: numbering?.hides }
  } finally {
    loads.delete(id)
  }
}

const answerQuery = async ({ pairs, ...query }: QueryOrder, signal: AbortSignal): Promise<ResultTable> => {
  if (pairs === undefined) return opened().query({ ...query, signal })
  const { views = {}, timeoutMs } = query
  const sums = await sumPairs(opened(), { sql: pairs, views, timeoutMs, signal })
  return opened().query({ ...query, parameters: { ...query.parameters, ...sums }, signal })
}

const deriveTable = async ({ name, repeated, ...query }: DeriveOrder, signal: AbortSignal): Promise<Loaded> => {
  const engine = opened()
  const rows = await (repeated ? keepRepeatedKeys(engine, name, { ...query, signal }) : engine.derive(name, { ...query, signal }))
  const select = `select * from ${LOADED}.${quoteName(name)}`
  tables.set(name, {
    select,
    rowsScanned: 0,
    bytes: rows * DERIVED_ROW_BYTES,
    drop: () => engine.run(`drop table if exists ${LOADED}.${quoteName(name)}`),
  })
  return { name, select, rowsScanned: 0, bytes: rows * DERIVED_ROW_BYTES }
}

// A key and a few numbers.
const DERIVED_ROW_BYTES = 40

/** Batches as they come; `undefined` ends them. */
class Arrivals {
  private readonly arrived: (PackedBatch | undefined)[] = []
  private wake = Promise.withResolvers<void>()
  private aborted = false

  constructor(private readonly taken: () => void) {}

  push(batch: PackedBatch | undefined): void {
    this.arrived.push(batch)
    this.wake.resolve()
  }

  abort(): void {
    this.aborted = true
    this.wake.resolve()
  }

  async *batches() {
    for (;;) {
      if (this.aborted) throw new Error('the load was given up')
      if (this.arrived.length === 0) {
        this.wake = Promise.withResolvers()
        await this.wake.promise
        continue
      }
      const batch = this.arrived.shift()
      if (!batch) return
      yield unpackBatch(batch)
      this.taken()
    }
  }
}

const failureOf = (error: unknown): Failure => {
  if (isTamsError(error)) return { message: error.message, code: error.code, field: error.field }
  return error instanceof Error ? { message: error.message, stack: error.stack } : { message: String(error) }
}
