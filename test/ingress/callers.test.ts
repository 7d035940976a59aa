import { describe, expect, test } from 'vitest'
import { callersOptions, createCallers } from '../../src/ingress/callers.ts'

const callers = createCallers(callersOptions.parse({ networks: ['loopback', '10.1.0.0/16', '2001:db8::/32'] }))

describe('a caller by network', () => {
  for (const address of [
    '127.0.0.1',
    '127.8.9.10',
    '::1',
    '::ffff:127.0.0.1',
    '10.1.255.255',
    '::ffff:10.1.2.3',
    '2001:db8::1',
  ]) {
    test(`${address} may come in`, () => expect(() => callers.check({ address })).not.toThrow())
  }

  for (const address of [
    undefined,
    '',
    '10.2.0.1',
    '::ffff:10.2.0.1',
    '2001:db9::1',
    '128.0.0.1',
    'localhost',
    '10.1.0.1, 8.8.8.8',
    '10.1.0.1:80',
  ]) {
    test(`${address ?? 'a caller without address'} may not`, () => {
      expect(() => callers.check({ address })).toThrow(
        expect.objectContaining({ code: 'caller_not_allowed', status: 403 }),
      )
    })
  }
})

describe('callers that say nothing are refused', () => {
  for (const written of [null, {}, [], { networks: null }, { networks: [] }, { networks: ['localhost'] }, 'loopback']) {
    test(JSON.stringify(written), () => expect(callersOptions.safeParse(written).success).toBe(false))
  }
})
