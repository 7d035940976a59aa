import fc from 'fast-check'
import { expect, test } from 'vitest'
import { remember } from '../../src/base/remember.ts'

/** A function that tells how often it was asked for what. */
function counted(options?: { most?: number; longest?: number }) {
  const asked: string[] = []
  const ask = remember((text) => {
    asked.push(text)
    return { length: text.length }
  }, options)
  return { asked, ask }
}

test('what was worked out once is not worked out again', () => {
  const { asked, ask } = counted()
  expect(ask('host')).toBe(ask('host'))
  expect(asked).toEqual(['host'])
})

test('a result that is nothing is remembered like any other', () => {
  let asked = 0
  const ask = remember(() => {
    asked++
    return undefined
  })
  expect([ask('a'), ask('a'), asked]).toEqual([undefined, undefined, 1])
})

test('so many are remembered and no more, and then it begins anew, so that nobody can keep the others out', () => {
  const { asked, ask } = counted({ most: 2 })
  for (const text of ['junk-1', 'junk-2', 'host', 'host', 'accept', 'host', 'accept']) ask(text)
  expect(asked).toEqual(['junk-1', 'junk-2', 'host', 'accept'])
})

test('a thousand are remembered where nothing else is said', () => {
  const { asked, ask } = counted()
  for (let turn = 0; turn < 2; turn++) for (let name = 0; name < 1000; name++) ask(`x-${name}`)
  expect(asked).toHaveLength(1000)
  ask('one more')
  ask('x-0')
  expect(asked).toHaveLength(1002)
})

test('a long text is worked out each time: a caller may not fill the memory with long ones', () => {
  const { asked, ask } = counted()
  for (let turn = 0; turn < 2; turn++) for (const length of [64, 65]) ask('x'.repeat(length))
  expect(asked.map((text) => text.length)).toEqual([64, 65, 65])
})

test('an error is not remembered', () => {
  let asked = 0
  const ask = remember((text) => {
    if (asked++ === 0) throw new Error(text)
    return text
  })
  expect(() => ask('a')).toThrow('a')
  expect(ask('a')).toBe('a')
})

test('whatever is asked in whatever order, the answers are those of the function itself', () => {
  const work = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '-')
  const text = fc.oneof(fc.constantFrom('Host', 'host', '__proto__', 'constructor', ''), fc.string({ maxLength: 6 }))
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), fc.integer({ min: 0, max: 5 }), (texts, most) => {
      const remembered = remember(work, { most, longest: 4 })
      expect(texts.map(remembered)).toEqual(texts.map(work))
    }),
  )
})
