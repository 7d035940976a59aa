import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import type { AccessToken } from '../../src/ingress/access-token.ts'
import { createRequirement, requireOptions } from '../../src/ingress/requirement.ts'

function token(scopes: readonly string[], claims: AccessToken['claims'] = {}): AccessToken {
  return { claims, server: 'sso', clientId: 'legacy', scopes, expiresAt: 0 }
}

/** The outcome of a requirement, written as in the file, for a token. */
function outcome(written: unknown, given: AccessToken): unknown {
  try {
    createRequirement(requireOptions.parse(written)).check(given)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return { code: error.code, status: error.status, challenge: error.options.challenge }
  }
}

describe('the scope of a token', () => {
  test('may be empty where any valid token will do', () => {
    expect(outcome('any_token', token([]))).toBe('accepted')
  })

  test('must have all of scopes, and the challenge names them', () => {
    const written = { scopes: ['customer.read', 'customer.write'] }
    expect(outcome(written, token(['other', 'customer.write', 'customer.read']))).toBe('accepted')
    expect(outcome(written, token(['customer.read']))).toEqual({
      code: 'insufficient_scope',
      status: 403,
      challenge: { error: 'insufficient_scope', scope: ['customer.read', 'customer.write'] },
    })
  })

  test('must have one of any_scope, and the challenge names none', () => {
    const written = { any_scope: ['admin', 'support'] }
    expect(outcome(written, token(['support']))).toBe('accepted')
    expect(outcome(written, token(['supporter']))).toEqual({
      code: 'insufficient_scope',
      status: 403,
      challenge: { error: 'insufficient_scope' },
    })
  })

  test('is compared whole and in its own case', () => {
    for (const scope of ['customer', 'customer.read2', 'Customer.Read', 'customer.*', '']) {
      expect(outcome({ scopes: ['customer.read'] }, token([scope]))).toMatchObject({ code: 'insufficient_scope' })
    }
  })
})

describe('the claims of a token', () => {
  const written = { claims: { 'realm_access.roles': ['archivist', 'admin'] } }
  const refused = { code: 'claim_required', status: 403, challenge: undefined }

  test("Keycloak's roles hold one of the required ones", () => {
    expect(outcome(written, token([], { realm_access: { roles: ['offline_access', 'archivist'] } }))).toBe('accepted')
  })

  test('a claim that is text is one of the values', () => {
    expect(outcome({ claims: { tenant: 'one' } }, token([], { tenant: 'one' }))).toBe('accepted')
  })

  test('a claim with dots in its name is written in brackets', () => {
    const roles = { resource_access: { 'my.client': { roles: ['a'] } } }
    expect(outcome({ claims: { 'resource_access["my.client"].roles': 'a' } }, token([], roles))).toBe('accepted')
  })

  test('every claim must hold', () => {
    const both = { claims: { tenant: 'one', region: 'eu' } }
    expect(outcome(both, token([], { tenant: 'one', region: 'eu' }))).toBe('accepted')
    expect(outcome(both, token([], { tenant: 'one' }))).toEqual(refused)
  })

  for (const roles of [
    undefined,
    null,
    [],
    'arch',
    'archivists',
    ['ARCHIVIST'],
    [['archivist']],
    { archivist: true },
    'archivist admin',
    true,
  ]) {
    test(`${JSON.stringify(roles)} does not hold archivist`, () => {
      expect(outcome(written, token([], { realm_access: { roles } }))).toEqual(refused)
    })
  }

  test('a number that looks like the value is not the value', () => {
    expect(outcome({ claims: { level: '1' } }, token([], { level: 1 }))).toEqual(refused)
  })

  test('what every object has is no claim', () => {
    expect(outcome({ claims: { 'constructor.name': 'Object' } }, token([], {}))).toEqual(refused)
  })
})

test('issuers narrow the servers', () => {
  expect(createRequirement(requireOptions.parse({ issuers: ['sso'] })).servers).toEqual(['sso'])
  expect(createRequirement(requireOptions.parse('any_token')).servers).toBeUndefined()
})

describe('a requirement that says nothing, or two things, is refused', () => {
  const cases: [written: unknown, message: RegExp][] = [
    [null, /is empty, which never means "anybody"/],
    [{}, /is empty, which never means "anybody"/],
    [[], /any_token, or a map/],
    ['', /any_token, or a map/],
    ['any', /any_token, or a map/],
    [true, /any_token, or a map/],
    [{ scopes: [] }, /is an empty list/],
    [{ any_scope: [] }, /is an empty list/],
    [{ issuers: [] }, /is an empty list/],
    [{ claims: {} }, /is empty: name at least one claim/],
    [{ claims: { roles: [] } }, /is an empty list/],
    [{ claims: { 'a..b': 'c' } }, /is no claim path/],
    [{ scopes: ['a'], any_scope: ['b'] }, /stands beside scopes/],
    [{ scopes: ['a b'] }, /one scope value/],
    [{ scope: ['a'] }, /scope/],
  ]
  for (const [written, message] of cases) {
    test(JSON.stringify(written), () => {
      const parsed = requireOptions.safeParse(written)
      expect(JSON.stringify(parsed.error?.issues).replaceAll('\\', '')).toMatch(message)
    })
  }

  test('a misspelt key is told, and not that there are none', () => {
    for (const written of [{ scope: ['a'] }, { claims: { 'a..b': 'c' } }]) {
      const told = JSON.stringify(requireOptions.safeParse(written).error?.issues)
      expect(told).toMatch(/unrecognized_keys|is no claim path/)
      expect(told).not.toContain('is empty')
    }
  })

  test('a rule over two keys is told beside a fault in another', () => {
    const parsed = requireOptions.safeParse({ scopes: ['a'], any_scope: ['b'], claims: {} })
    const told = JSON.stringify(parsed.error?.issues)
    expect(told).toContain('stands beside scopes')
    expect(told).toContain('name at least one claim')
  })
})
