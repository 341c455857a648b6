// Changes a table all the time, until it is killed: bun sqlite-pages-program.ts FILE SEED
import { Database } from 'bun:sqlite'

const [, , file = '', seed = '1'] = process.argv
let state = Number(seed)
const random = (below: number): number => {
  state = (state * 48_271) % 2_147_483_647
  return state % below
}

const db = new Database(file, { strict: true })
db.run('pragma busy_timeout = 10000')
db.run('pragma synchronous = off')
db.run('pragma wal_autocheckpoint = 0')

const MODES = ['passive', 'full', 'restart', 'truncate']
const insert = db.prepare('insert or replace into t (id, at, note, big, small, real) values (?, ?, ?, ?, ?, ?)')

const step = (): void => {
  const kind = random(40)
  if (kind === 0) db.run('vacuum')
  else if (kind < 8) db.prepare(`pragma wal_checkpoint(${MODES[random(MODES.length)]})`).all()
  else if (kind < 14) db.run('delete from t where at % 97 = ?', [random(97)])
  else if (kind < 20) db.run('update t set big = big + 1, note = substr(note, 2) where at % 31 = ?', [random(31)])
  else
    db.transaction(() => {
      for (let i = random(60); i >= 0; i--) {
        const note = 'n'.repeat(random(20) === 0 ? random(9000) : random(60))
        insert.run(`id ${random(50)}`, random(3000), note, random(10) - 5, random(1000), random(100) / 4)
      }
    })()
}

console.log('writing')
for (;;) {
  try {
    step()
  } catch (error) {
    // Another one had the file for longer than the limit.
    if (!String(error).includes('locked') && !String(error).includes('busy')) throw error
  }
  // So that a signal to end is seen.
  await new Promise(setImmediate)
}
