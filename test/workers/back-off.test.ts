import { expect, it } from 'vitest'
import { createBackOff } from '../../src/workers/back-off.ts'

const waits = (lives: readonly number[]) => {
  const backOff = createBackOff()
  return lives.map((lived) => backOff.next(lived))
}

it('what ends at once is started less and less often, and in the end every half minute', () => {
  expect(waits(Array(12).fill(50))).toEqual([
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000,
  ])
})

it('what has lived for a minute is started at once when it ends, and no other one is', () => {
  expect(waits([0, 0, 0, 59_999, 60_000, 0, 3_600_000])).toEqual([100, 200, 400, 800, 100, 200, 100])
})
