import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { type AbsoluteTarget, readAbsoluteTarget } from '../../src/routes/absolute-target.ts'

describe('the URL that a forward proxy is asked for', () => {
  it.each([
    ['http://a.example/b?c', { host: 'a.example', port: 80, authority: 'a.example', path: '/b?c' }],
    ['HTTP://A.Example.:8080/B', { host: 'a.example', port: 8080, authority: 'A.Example.:8080', path: '/B' }],
    ['http://[0::1]:81', { host: '[::1]', port: 81, authority: '[0::1]:81', path: '/' }],
    ['http://a.example?b/c', { host: 'a.example', port: 80, authority: 'a.example', path: '/?b/c' }],
    ['http://a.example:/', { host: 'a.example', port: 80, authority: 'a.example:', path: '/' }],
  ])('%s', (raw, expected) => {
    expect(readAbsoluteTarget(raw, 'GET')).toEqual(expected)
  })
})

function read(raw: string): AbsoluteTarget | undefined {
  try {
    return readAbsoluteTarget(raw, 'GET')
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}

const piece = fc.constantFrom(
  ...['a.example', 'b', 'localhost', '127.0.0.1', '[::1]', '.', '@', ':', '80', '0', '/', '//', '?', '#', '\\'],
  ...['%40', '%2e', '%', ' ', '\t', '*', ',', ';', '[', ']', 'user', '\u00ad', 'http:', '..'],
)

/*
 * The attack: one host to the gateway, and another one to whoever reads the same URL. The other reader here is the one of
 * browsers, which repairs whatever it can.
 */
it('is never another one to a reader that repairs what it can', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
      const raw = `http://${pieces.join('')}`
      const ours = read(raw)
      const theirs = URL.parse(raw)
      if (!ours || !theirs) return
      const host = theirs.hostname.replace(/\.$/, '')
      // An address in other words is a name here, which no route has.
      const isNumeric = /^[\d.]+$/.test(ours.host) && ours.host !== host
      expect([raw, isNumeric ? ours.host : host, Number(theirs.port || 80)]).toEqual([raw, ours.host, ours.port])
      expect(theirs.username + theirs.password).toBe('')
    }),
    { numRuns: 2000 },
  )
})
