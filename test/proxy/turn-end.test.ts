import { expect, test } from 'vitest'
import { atTurnEnd } from '../../src/proxy/turn-end.ts'

test('all who wait for the end of a turn are called one right after the other, and who comes meanwhile in the next one', async () => {
  const seen: string[] = []
  const note = (text: string) => () => void seen.push(text)
  atTurnEnd(() => {
    seen.push('first')
    process.nextTick(note('tick'))
    Promise.resolve().then(note('promise'))
    atTurnEnd(note('late'))
  })
  atTurnEnd(note('second'))
  seen.push('before')
  await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(seen).toEqual(['before', 'first', 'second', 'tick', 'promise', 'late'])
})
