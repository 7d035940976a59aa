import { describe, expect, test } from 'vitest'
import { accessTokenOptions } from '../../src/ingress/access-token-options.ts'

function messages(written: unknown): string {
  return JSON.stringify(accessTokenOptions.safeParse(written).error?.issues ?? [])
}

describe('the block that makes a server trusted', () => {
  test('needs no more than an audience', () => {
    expect(accessTokenOptions.parse({ audience: 'https://api.example.test' })).toEqual({
      audience: ['https://api.example.test'],
      algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
      types: ['absent', 'JWT', 'at+jwt'],
      scope_claims: [['scope'], ['scp']],
      client_id_claims: [['client_id'], ['azp'], ['cid'], ['appid']],
      clock_tolerance: 5000,
      max_token_size: 16_384,
    })
  })

  test('must say the audience', () => {
    expect(messages({})).toContain('missing')
    expect(messages({ audience: [] })).toContain('is an empty list')
    expect(messages({ audience: null })).not.toBe('[]')
  })

  test('does not take every audience beside named ones', () => {
    expect(messages({ audience: ['https://api.example.test', 'any'] })).toContain('stands alone')
    expect(messages({ audience: 'any' })).toBe('[]')
  })

  for (const algorithm of ['HS256', 'HS384', 'HS512', 'none', 'None', 'rs256', 'RSA-OAEP', 'constructor']) {
    test(`does not take ${algorithm} as an algorithm`, () => {
      expect(messages({ audience: 'any', algorithms: [algorithm] })).toContain('never accepted')
      expect(messages({ audience: 'any', algorithms: ['RS256', algorithm] })).toContain('never accepted')
    })
  }

  test('takes no empty lists', () => {
    for (const key of ['issuers', 'algorithms', 'types', 'scope_claims', 'client_id_claims']) {
      expect(messages({ audience: 'any', [key]: [] })).toContain('is an empty list')
    }
  })
})
