import { expect, test } from 'vitest'
import { InFlight } from '../../src/base/in-flight.ts'

/** Whether it has resolved by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  const turn = new Promise((resolve) => setImmediate(resolve, 'not yet'))
  return (await Promise.race([promise.then(() => 'done'), turn])) === 'done'
}

test('nothing on its way is not waited for', async () => {
  expect(await isDone(new InFlight().ended())).toBe(true)
})

test('the last one to end is waited for, by everybody who waits', async () => {
  const inFlight = new InFlight()
  inFlight.begin()
  inFlight.begin()
  const [one, other] = [inFlight.ended(), inFlight.ended()]
  inFlight.end()
  expect([inFlight.count, await isDone(one), await isDone(other)]).toEqual([1, false, false])
  inFlight.end()
  expect([inFlight.count, await isDone(one), await isDone(other)]).toEqual([0, true, true])
})

test('it can be waited for again', async () => {
  const inFlight = new InFlight()
  for (let turn = 0; turn < 2; turn++) {
    inFlight.begin()
    const ended = inFlight.ended()
    expect(await isDone(ended)).toBe(false)
    inFlight.end()
    expect(await isDone(ended)).toBe(true)
  }
})
