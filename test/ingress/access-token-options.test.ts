import { describe, expect, test } from 'vitest'
import { acceptedTypes, accessTokenOptions } from '../../src/ingress/access-token-options.ts'

const edwards = ['EdDSA', 'Ed25519', 'Ed448']

function messages(written: unknown): string {
  return JSON.stringify(accessTokenOptions.safeParse(written).error?.issues ?? [])
}

describe('the block that makes a server trusted', () => {
  test('needs no more than an audience', () => {
    expect(accessTokenOptions.parse({ audience: 'https://api.example.test' })).toEqual({
      audience: ['https://api.example.test'],
      strict: false,
      algorithms: [
        ...['RS', 'PS', 'ES'].flatMap((kind) => [256, 384, 512].map((bits) => `${kind}${bits}`)),
        ...edwards,
      ],
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
    const lists = [
      'issuers',
      'algorithms',
      'types',
      'scope_claims',
      'client_id_claims',
      'client_ids',
      'required_claims',
    ]
    for (const key of lists) {
      expect(messages({ audience: 'any', [key]: [] })).toContain('is an empty list')
    }
  })

  test('does not let tokens live on for longer than clocks can differ', () => {
    expect(messages({ audience: 'any', clock_tolerance: '5m' })).toBe('[]')
    expect(messages({ audience: 'any', clock_tolerance: '301s' })).toContain('is more than 5m')
  })

  test('takes strict alone: neither types beside it, nor every audience', () => {
    const options = accessTokenOptions.parse({ audience: 'https://api.example.test', strict: true })
    expect(acceptedTypes(options)).toEqual(['at+jwt'])
    expect(messages({ audience: 'https://api.example.test', strict: true, types: ['JWT'] })).toContain('beside strict')
    expect(messages({ audience: 'any', strict: true })).toContain('name the audience')
    expect(messages({ audience: 'any', strict: false })).toBe('[]')
  })
})
