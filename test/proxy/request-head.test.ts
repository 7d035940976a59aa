import { expect, test } from 'vitest'
import {
  readExpectContinue,
  readMethodOverrides,
  requireForwardableMethod,
  requireNoLoop,
} from '../../src/proxy/request-head.ts'

test.each([
  [['Via', '1.1 scopegate-a'], true],
  [['via', '1.0 fred, HTTP/1.1 SCOPEGATE-A (comment, with comma)'], true],
  [['via', '1.0 fred', 'Via', '1.1   scopegate-a'], true],
  [['via', '1.1 scopegate-ab, 1.1 x-scopegate-a'], false],
  [['x-via', '1.1 scopegate-a'], false],
  [[], false],
])('of %j it is %s that the request has passed here before', (rawHeaders, passed) => {
  const check = () => requireNoLoop(rawHeaders, 'scopegate-a')
  if (passed) expect(check).toThrow(expect.objectContaining({ code: 'loop_detected' }))
  else expect(check).not.toThrow()
})

test('100-continue is the one expectation that is met, and HTTP/1.0 has none', () => {
  expect(readExpectContinue({ rawHeaders: [], httpVersion: '1.1' })).toBe(false)
  expect(readExpectContinue({ rawHeaders: ['Expect', '100-Continue'], httpVersion: '1.1' })).toBe(true)
  expect(readExpectContinue({ rawHeaders: ['Expect', 'anything'], httpVersion: '1.0' })).toBe(false)
  for (const value of ['', '100-continue, x', 'deliver-by-noon'])
    expect(() => readExpectContinue({ rawHeaders: ['expect', value], httpVersion: '1.1' })).toThrow(
      expect.objectContaining({ code: 'expectation_failed' }),
    )
})

test('a method override is found in every spelling', () => {
  const rawHeaders = ['X-HTTP-Method-Override', 'delete', 'x_http_method', 'PUT, delete', 'X-Method-Override', 'patch']
  expect(readMethodOverrides(rawHeaders)).toEqual(['DELETE', 'PUT', 'PATCH'])
  expect(readMethodOverrides(['x-method', 'PUT'])).toEqual([])
})

test('TRACE, whose answer would hold the gateway’s token, and CONNECT go nowhere', () => {
  for (const method of ['TRACE', 'CONNECT'])
    expect(() => requireForwardableMethod(method)).toThrow(expect.objectContaining({ code: 'method_not_implemented' }))
  expect(() => requireForwardableMethod('QUERY')).not.toThrow()
})
