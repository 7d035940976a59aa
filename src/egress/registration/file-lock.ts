import { randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../base/clock.ts'
import type { HeldLease } from '../leases.ts'

/** A lock that processes of one machine share: a file that only one of them can make. */
export interface FileLock {
  /** @throws what the file system throws, but for a lock that is there already */
  acquire(): Promise<HeldLease | { readonly state: 'busy' }>
  /** Resolves once it is free, or may be, or after so many milliseconds. */
  settled(milliseconds: number): Promise<void>
}

/** Its holder touches it so often; one that nobody has touched for so long is of a process that has died. */
const touchInterval = 1000
export const deadAfter = 10_000
const lookInterval = 50

export function createFileLock(path: string, clock: Clock): FileLock {
  /** The lock as it was seen last, and since when it has looked so. Clocks and process ids of others tell nothing. */
  let seen: { readonly stamp: string; readonly since: number } | undefined

  async function look(): Promise<'free' | 'alive' | 'dead'> {
    const stamp = await stampOf(path)
    if (stamp === undefined) {
      seen = undefined
      return 'free'
    }
    if (seen?.stamp !== stamp) seen = { stamp, since: clock.elapsed() }
    return clock.elapsed() - seen.since > deadAfter ? 'dead' : 'alive'
  }

  /** Of several that find it dead one takes it away, and nobody one that is new by then. */
  async function bury(): Promise<void> {
    const dead = seen?.stamp
    const aside = `${path}.${randomUUID()}`
    await rename(path, aside).catch(ignoreMissing)
    if ((await stampOf(aside)) !== dead) await link(aside, path).catch(() => {})
    await rm(aside, { force: true })
  }

  function hold(holder: string): HeldLease {
    let cancel = () => {}
    const touchLater = () => {
      cancel = clock.setTimeout(() => {
        const now = new Date()
        void utimes(path, now, now).catch(() => {})
        touchLater()
      }, touchInterval)
    }
    touchLater()
    return {
      state: 'held',
      async release() {
        cancel()
        const found = await readFile(path, 'utf8').catch(ignoreMissing)
        if (found === holder) await rm(path, { force: true })
      },
    }
  }

  return {
    async acquire() {
      if ((await look()) === 'dead') await bury()
      const holder = randomUUID()
      try {
        const file = await open(path, 'wx', 0o600)
        await file.writeFile(holder).finally(() => file.close())
        return hold(holder)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        await look()
        return { state: 'busy' }
      }
    },
    async settled(milliseconds) {
      const until = clock.elapsed() + milliseconds
      // By a timer that keeps the process: a command line that waits has nothing else to do.
      while (clock.elapsed() < until && (await look()) === 'alive') await pause(lookInterval)
    },
  }
}

async function stampOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(ignoreMissing)
  return found && `${found.ino} ${found.mtimeMs}`
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
