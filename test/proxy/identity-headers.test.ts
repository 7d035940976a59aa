import fc from 'fast-check'
import { expect, test } from 'vitest'
import { claimText, mergeIdentityHeaders } from '../../src/proxy/identity-headers.ts'

test.each([
  ['archival-service', 'archival-service'],
  ['email profile', 'email profile'],
  [['email', 'profile'], 'email profile'],
  [42, '42'],
  [2 ** 53 - 1, '9007199254740991'],
  // Which number stood in the token cannot be told any more.
  [2 ** 53, undefined],
  [-1e21, undefined],
  [true, 'true'],
  ['Zoë', 'Zo%C3%AB'],
  ['a\r\nX-Admin: 1', 'a%0D%0AX-Admin: 1'],
  ['%61dmin', '%2561dmin'],
  [' admin ', '%20admin%20'],
  [['guests admin', 'b'], 'guests%20admin b'],
  ['\ud800', '%EF%BF%BD'],
  [[], ''],
  [undefined, undefined],
  [null, undefined],
  [{ a: 1 }, undefined],
])('the claim %j is told as %j', (claim, text) => {
  expect(claimText(claim)).toBe(text)
})

test('no claim can write anything but printable ASCII, and each can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (claim) => {
      const text = claimText(claim) ?? ''
      expect(text).toMatch(/^[\x20-\x7e]*$/)
      expect(text.trim()).toBe(text)
      expect(decodeURIComponent(text)).toBe(claim)
    }),
    { numRuns: 1000 },
  )
})

test('a list tells as many values as it has, whatever stands in them', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 })), (claim) => {
      const text = claimText(claim) ?? ''
      expect(text === '' ? [] : text.split(' ').map(decodeURIComponent)).toEqual(claim)
    }),
    { numRuns: 1000 },
  )
})

test('a header of the route replaces the one of all routes that a server could take for it', () => {
  const all = { 'X-User': ['sub'], 'X-Client': ['azp'] }
  expect(mergeIdentityHeaders(all, { x_user: ['email'] })).toEqual({ 'X-Client': ['azp'], x_user: ['email'] })
})
