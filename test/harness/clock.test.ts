import { expect, test } from 'vitest'
import { createTestClock } from './clock.ts'

test('timers fire in the order of their time, those too that are set on the way, and cancelled ones never', async () => {
  const clock = createTestClock(0)
  const fired: [string, number][] = []
  clock.setTimeout(() => fired.push(['late', clock.now()]), 20)
  const cancel = clock.setTimeout(() => fired.push(['never', clock.now()]), 15)
  clock.setTimeout(async () => {
    fired.push(['early', clock.now()])
    await Promise.resolve()
    clock.setTimeout(() => fired.push(['between', clock.now()]), 5)
  }, 10)
  cancel()
  await clock.advance(100)
  expect(fired).toEqual([
    ['early', 10],
    ['between', 15],
    ['late', 20],
  ])
  expect(clock.now()).toBe(100)
  expect(clock.pendingTimers()).toBe(0)
})
