import { describe, expect, test } from 'vitest'
import { createBrowserRule } from '../../src/ingress/browser-rule.ts'

const passes = (listenerHost: string, localAddress: string | undefined, host: string) => {
  const rule = createBrowserRule({ listenerHost, isNamed: () => false })
  try {
    rule.check({ headers: {}, host, localAddress, encrypted: false })
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'caller_not_allowed', status: 403 })
    return false
  }
}

describe('the address of a listener', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3', '10.1.2.3'],
    ['0.0.0.0', '10.1.2.3', '10.1.2.3'],
    ['::', '::ffff:10.1.2.3', '10.1.2.3'],
    ['::', '2001:db8:0:0::7', '[2001:db8::7]'],
    ['::', 'fe80::7%eth0', '[fe80::7]'],
    ['2001:db8:0::7', '2001:db8::7', '[2001:db8::7]'],
    ['Gateway.Internal', '10.1.2.3', 'gateway.internal'],
    ['0.0.0.0', undefined, 'localhost'],
  ])('bound to %s, reached at %s, may be asked for by %s', (bound, local, host) => {
    expect(passes(bound, local, host)).toBe(true)
  })

  test.each([
    ['0.0.0.0', '10.1.2.3', '0.0.0.0'],
    ['::', '10.1.2.3', '[::]'],
    ['0.0.0.0', '10.1.2.3', '10.1.2.4'],
    ['0.0.0.0', undefined, '10.1.2.3'],
    ['', '10.1.2.3', ''],
    ['', '', ''],
    ['gateway.internal', '10.1.2.3', 'x.gateway.internal'],
  ])('bound to %s, reached at %s, may not be asked for by %s', (bound, local, host) => {
    expect(passes(bound, local, host)).toBe(false)
  })
})
