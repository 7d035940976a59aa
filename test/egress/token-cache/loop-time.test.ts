import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { within } from '../../../src/egress/token-cache/loop-time.ts'
import { timed } from './caches.ts'

function stall(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

/** Something that comes from outside the event loop, and needs it to be taken notice of. */
function answer(): Promise<void> {
  return new Promise((resolve) => randomBytes(16, () => resolve()))
}

test('what never comes is waited for so long, and no longer', async () => {
  const { took } = await timed(
    expect(within(50, new Promise(() => {}), systemClock)).rejects.toMatchObject({ code: 'TIMEOUT' }),
  )
  expect(took).toBeGreaterThan(40)
})

test('what takes several steps is waited for while this process has no time for it', async () => {
  const steps = async () => {
    for (let step = 0; step < 3; step += 1) {
      await answer()
      stall(60)
    }
    return 'done'
  }
  expect(await within(50, steps(), systemClock)).toBe('done')
})

test('what came while the last moment went by unnoticed is taken', async () => {
  const { promise, resolve } = Promise.withResolvers<string>()
  let ticks = 0
  const clock = {
    now: Date.now,
    elapsed: Date.now,
    setTimeout(work: () => void) {
      ticks += 1
      const timer = setTimeout(work, 5)
      if (ticks === 5)
        setImmediate(() => {
          void answer().then(() => resolve('done'))
          stall(50)
        })
      return () => clearTimeout(timer)
    },
  }
  expect(await within(50, promise, clock)).toBe('done')
})

test('what fails is told at once', async () => {
  await expect(within(50, Promise.reject(new RangeError('no')), systemClock)).rejects.toThrow(RangeError)
})
