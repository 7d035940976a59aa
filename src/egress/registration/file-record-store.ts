import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import { createFileLock, deadAfter, type FileLock } from './file-lock.ts'
import { type RecordStore, StoreFault } from './record-store.ts'

type Records = Readonly<Record<string, string>>

/** Longer than it takes to see that whoever locked it has died. */
const mostWaiting = deadAfter + 2000

/**
 * Records in a file, for the processes of one machine. It is replaced as a whole, so that nobody ever reads half of it, and
 * is open to its owner alone.
 */
export function createFileRecordStore(path: string, clock: Clock): RecordStore {
  const locks = new Map<string, FileLock>()
  const lockOf = (name: string) => {
    const lock = locks.get(name) ?? createFileLock(`${path}${name === '' ? '' : `.${name}`}.lock`, clock)
    locks.set(name, lock)
    return lock
  }
  const within = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof StoreFault) throw error
      const { code = 'no code' } = error as NodeJS.ErrnoException
      throw new StoreFault(`registrations are kept in ${path}, which cannot be read or written (${code})`)
    }
  }

  async function read(): Promise<Records> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '{}'
      throw error
    })
    const records = parse(text)
    // Never taken for an empty one: every client would register once more.
    if (!records) throw new StoreFault(`registrations are kept in ${path}, and what is in it are none`)
    return records
  }

  async function write(records: Records): Promise<void> {
    const fresh = `${path}.${randomUUID()}`
    try {
      const file = await open(fresh, 'wx', 0o600)
      try {
        await file.writeFile(JSON.stringify(records))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(fresh, path)
    } finally {
      await rm(fresh, { force: true })
    }
  }

  /** One change of the file at a time: it holds the records of other clients too. */
  async function alone<Value>(work: () => Promise<Value>): Promise<Value> {
    const until = clock.elapsed() + mostWaiting
    for (;;) {
      const lease = await lockOf('').acquire()
      if (lease.state === 'held') return work().finally(lease.release)
      if (clock.elapsed() > until) throw new StoreFault(`${path} is locked by another process`)
      await lockOf('').settled(mostWaiting)
    }
  }

  return {
    ready: async () => {},
    placeOf: (name) => `${name} in ${path}`,
    get: (name) => within(async () => (await read())[name]),
    replace: (name, seen, next) =>
      within(() =>
        alone(async () => {
          const { [name]: current, ...others } = await read()
          if (current !== seen) return false
          await write(next === undefined ? others : { ...others, [name]: next })
          return true
        }),
      ),
    acquire: (name) => within(() => lockOf(name).acquire()),
    settled: (name, milliseconds) => within(() => lockOf(name).settled(milliseconds)),
  }
}

function parse(text: string): Records | undefined {
  try {
    const records: unknown = JSON.parse(text)
    if (typeof records !== 'object' || records === null || Array.isArray(records)) return undefined
    return Object.values(records).every((record) => typeof record === 'string') ? (records as Records) : undefined
  } catch {
    return undefined
  }
}
