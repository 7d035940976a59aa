import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createAccessToken, lifeOf, renewalTime } from '../../src/egress/access-token.ts'

const day = 24 * 3_600_000

const lifetime = fc.record({
  sentAt: fc.integer({ min: 0, max: 2 ** 42 }),
  expiresIn: fc.option(fc.oneof(fc.integer({ min: 1, max: 10 ** 9 }), fc.double({ min: 0.5, max: 100, noNaN: true })), {
    nil: undefined,
  }),
  defaultExpiresIn: fc.integer({ min: 1000, max: 2 * day }),
  renewBeforeExpiry: fc.integer({ min: 1, max: 2 * day }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
})

it('a token is renewed after half of its life and while it is good, and not used in its last 5 s or tenth', () => {
  fc.assert(
    fc.property(lifetime, (given) => {
      const { sentAt, expiresIn, defaultExpiresIn, renewBeforeExpiry } = given
      const token = createAccessToken('a-token', { obtainedAt: sentAt, life: lifeOf(expiresIn, defaultExpiresIn) })
      const { usableUntil } = token
      const renewAt = renewalTime(token, renewBeforeExpiry, given.jitter)
      const life = Math.min(expiresIn === undefined ? defaultExpiresIn : expiresIn * 1000, day)
      expect(usableUntil).toBeCloseTo(sentAt + life - Math.min(5000, life / 10), 0)
      // Sums of such numbers are exact to a thousandth of a millisecond at best.
      expect(renewAt).toBeGreaterThanOrEqual(sentAt + life / 2 - 0.01)
      expect(renewAt).toBeLessThanOrEqual(usableUntil)
      const earliest = Math.min(renewBeforeExpiry, life / 2)
      const end = sentAt + life
      expect(renewAt).toBeGreaterThanOrEqual(Math.min(usableUntil, end - earliest) - 0.01)
      expect(renewAt).toBeLessThanOrEqual(Math.min(usableUntil, end - earliest * 0.8) + 0.01)
    }),
    { numRuns: 2000 },
  )
})

it('a life that is no number of milliseconds at all is none', () => {
  expect([-1, -1e306, 0].map((expiresIn) => lifeOf(expiresIn, day))).toEqual([0, 0, 0])
})
