import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSilenceWatch } from '../../src/proxy/silence.ts'
import { createTestClock } from '../harness/clock.ts'

/** A watch, and the moments at which it told of silence, in milliseconds from the start. */
function start() {
  const clock = createTestClock()
  const begun = clock.now()
  let timers = 0
  const counting = {
    ...clock,
    setTimeout(callback: () => void, delay: number) {
      timers++
      return clock.setTimeout(callback, delay)
    },
  }
  const told: [name: string, at: number][] = []
  const watch = createSilenceWatch(counting)
  const expectWithin = (milliseconds: number, name = 'it') =>
    watch.expect(milliseconds, () => told.push([name, clock.now() - begun]))
  return { clock, watch, told, expectWithin, timersMade: () => timers }
}

test('silence is told once, when its time is up and not before', async () => {
  const { clock, told, expectWithin } = start()
  expectWithin(100)
  await clock.advance(99)
  expect(told).toEqual([])
  await clock.advance(1)
  expect(told).toEqual([['it', 100]])
  await clock.advance(1000)
  expect(told).toHaveLength(1)
  expect(clock.pendingTimers()).toBe(0)
})

test('each sign of life begins the waiting anew', async () => {
  const { clock, watch, told, expectWithin } = start()
  expectWithin(100)
  for (let turn = 0; turn < 5; turn++) {
    await clock.advance(90)
    watch.renew()
  }
  expect(told).toEqual([])
  await clock.advance(100)
  expect(told).toEqual([['it', 550]])
})

test('an expectation takes the place of the one before, be it shorter or longer', async () => {
  const shorter = start()
  shorter.expectWithin(1000, 'long')
  shorter.expectWithin(10, 'short')
  await shorter.clock.advance(10)
  expect(shorter.told).toEqual([['short', 10]])
  await shorter.clock.advance(2000)
  expect(shorter.told).toHaveLength(1)
  const longer = start()
  longer.expectWithin(10, 'short')
  await longer.clock.advance(5)
  longer.expectWithin(1000, 'long')
  await longer.clock.advance(999)
  expect(longer.told).toEqual([])
  await longer.clock.advance(1)
  expect(longer.told).toEqual([['long', 1005]])
})

test('a watch that is stopped tells nothing and leaves no timer, and can be used again', async () => {
  const { clock, watch, told, expectWithin } = start()
  expectWithin(100, 'stopped')
  watch.stop()
  watch.stop()
  expect(clock.pendingTimers()).toBe(0)
  await clock.advance(1000)
  expectWithin(100, 'again')
  await clock.advance(100)
  expect(told).toEqual([['again', 1100]])
})

test('what is told may expect something else', async () => {
  const { clock, watch, told, expectWithin } = start()
  watch.expect(10, () => expectWithin(20, 'second'))
  await clock.advance(30)
  expect(told).toEqual([['second', 30]])
})

test('ten thousand signs of life within the time need one timer', async () => {
  const { clock, watch, expectWithin, timersMade } = start()
  expectWithin(100)
  for (let turn = 0; turn < 10_000; turn++) watch.renew()
  expectWithin(100)
  expect(timersMade()).toBe(1)
  expect(clock.pendingTimers()).toBe(1)
})

test('whatever happens in whatever order, silence is told as by a timer that is set anew each time', async () => {
  const step = fc.oneof(
    fc.record({ expect: fc.integer({ min: 1, max: 50 }) }),
    fc.constant('renew' as const),
    fc.constant('stop' as const),
    fc.record({ pass: fc.integer({ min: 1, max: 40 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { clock, watch, told, expectWithin } = start()
      const expected: [string, number][] = []
      let now = 0
      let waiting: { name: string; patience: number; due: number } | undefined
      for (const [index, each] of steps.entries()) {
        const name = `${index}`
        if (each === 'stop') {
          watch.stop()
          waiting = undefined
        } else if (each === 'renew') {
          if (!waiting) continue
          watch.renew()
          waiting.due = now + waiting.patience
        } else if ('expect' in each) {
          expectWithin(each.expect, name)
          waiting = { name, patience: each.expect, due: now + each.expect }
        } else {
          await clock.advance(each.pass)
          now += each.pass
          if (waiting && waiting.due <= now) {
            expected.push([waiting.name, waiting.due])
            waiting = undefined
          }
        }
      }
      expect(told).toEqual(expected)
      expect(clock.pendingTimers()).toBe(waiting ? 1 : 0)
    }),
    { numRuns: 200 },
  )
})
