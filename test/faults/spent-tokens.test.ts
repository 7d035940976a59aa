import { expect, it } from 'vitest'
import { tokenFault } from './spent-tokens.ts'

const requestWith = (claims: object) => {
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return { headers: { authorization: `Bearer eyJ.${payload}.signature` } }
}

it.each([
  ['a token of 10 s, to the end of what is for use', { iat: 100, exp: 110, issued_at: 100_400 }, 109_399, undefined],
  ['one in its last second', { iat: 100, exp: 110, issued_at: 100_400 }, 109_700, 'too late'],
  ['one in its last five seconds', { iat: 100, exp: 400, issued_at: 100_400 }, 396_000, 'too late'],
  ['one that has expired', { iat: 100, exp: 110, issued_at: 100_400 }, 110_400, 'expired'],
  ['one of which nobody knows when in its second it was issued', { iat: 100, exp: 110 }, 109_999, undefined],
  ['the same, in its last second for certain', { iat: 100, exp: 110 }, 110_300, 'too late'],
  ['one that never expires', { iat: 100 }, 100_000, 'expired'],
])('what an upstream saw is judged: %s', (_what, claims, now, fault) => {
  expect(tokenFault(requestWith(claims), now)).toBe(fault)
})

it('a request without the gateway’s token has none', () => {
  expect(tokenFault({ headers: {} }, 0)).toBe('no token')
  expect(tokenFault({ headers: { authorization: 'Bearer of-the-caller' } }, 0)).toBe('no token')
})
