import { describe, expect, test } from 'vitest'
import { GatewayError, type GatewayErrorOptions } from '../../src/base/errors.ts'
import { readBearerToken } from '../../src/ingress/bearer-token.ts'

function refusal(authorization: string | undefined, target = '/'): [string, GatewayErrorOptions['challenge']] {
  try {
    readBearerToken(authorization, target)
  } catch (error) {
    if (error instanceof GatewayError) return [error.code, error.options.challenge]
    throw error
  }
  throw new Error('it was accepted')
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
describe('the token of a request', () => {
  test('stands in the Authorization header, as in the example of RFC 6750', () => {
    expect(readBearerToken('Bearer mF_9.B5f-4.1JqM', '/resource')).toBe('mF_9.B5f-4.1JqM')
  })

  test('has every character that RFC 6750 allows, and padding at its end', () => {
    expect(readBearerToken('Bearer aZ09-._~+/==', '/')).toBe('aZ09-._~+/==')
  })

  for (const authorization of ['bearer abc', 'BEARER abc', 'bEaReR   abc']) {
    test(`is found behind the scheme in any case: ${authorization}`, () => {
      expect(readBearerToken(authorization, '/')).toBe('abc')
    })
  }

  test('may come with a query that has nothing to do with it', () => {
    expect(readBearerToken('Bearer abc', '/a?token=1&my_access_token=2&q=access_token#')).toBe('abc')
    expect(readBearerToken('Bearer abc', '/access_token=1')).toBe('abc')
  })
})

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1 */
describe('without a token nothing is said but that one is needed', () => {
  for (const authorization of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer   ',
    'Basic YTpi',
    'DPoP abc',
    'Bearerabc',
    'Token abc',
    '=',
    'abc',
  ]) {
    test(`Authorization: ${authorization ?? '(none)'}`, () => {
      expect(refusal(authorization)).toEqual(['token_required', {}])
    })
  }

  test('a token in the query alone counts as none', () => {
    expect(refusal(undefined, '/a?access_token=abc')).toEqual(['token_required', {}])
    expect(refusal('Basic YTpi', '/a?access_token=abc')).toEqual(['token_required', {}])
  })
})

describe('a second token in the query is refused, however its name is written', () => {
  const queries = [
    'access_token=b',
    'a=1&access_token=b',
    'access_token',
    'access_token=',
    'access%5Ftoken=b',
    '%61ccess_token=b',
    'Access_Token=b',
    'a=1;access_token=b',
    'a=?&access_token=b',
    '&&access_token=b',
  ]
  for (const query of queries) {
    test(query, () => {
      expect(refusal('Bearer abc', `/a?${query}`)).toEqual(['invalid_request', { error: 'invalid_request' }])
    })
  }
})

describe('what cannot be a token is an invalid one', () => {
  const values = [
    'a b',
    'abc, Bearer def',
    'abc,def',
    'abc;def',
    '"abc"',
    'a=b',
    '=abc',
    '==',
    'abc\u0000',
    'abc\t',
    '\tabc',
    'abc\u00e9',
    'a\\b',
    '<abc>',
  ]
  for (const value of values) {
    test(JSON.stringify(value), () => {
      expect(refusal(`Bearer ${value}`)).toEqual(['invalid_token', { error: 'invalid_token' }])
    })
  }

  test('a tab instead of the blank behind the scheme', () => {
    expect(refusal('Bearer\tabc')).toEqual(['invalid_token', { error: 'invalid_token' }])
  })
})
