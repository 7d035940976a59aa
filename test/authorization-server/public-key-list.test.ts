import { describe, expect, test } from 'vitest'
import { createKeyTeller } from '../../src/authorization-server/left-out-keys.ts'
import { readPublicKeys } from '../../src/authorization-server/public-key-list.ts'
import { createLog } from '../../src/base/log.ts'
import { createTestLog } from '../harness/logs.ts'
import { createSigningKey, type SigningKey } from '../harness/tokens.ts'

const rsa = createSigningKey('RS256', 'rsa')
const ec = createSigningKey('ES256', 'ec')
const ed = createSigningKey('Ed25519', 'ed')
const other = createSigningKey('ES256', 'other')
const weak = createSigningKey('RS256', 'weak', 1024)

const open = ({ privateKey }: SigningKey, more: object = {}) => ({ ...privateKey.export({ format: 'jwk' }), ...more })
const kids = (...members: unknown[]) => readPublicKeys(members).keys.map(({ kid }) => kid)

describe('a private key that lies open takes its public half with it', () => {
  for (const key of [rsa, ec, ed])
    test(`${key.alg}, before it and behind it, whatever they call themselves`, () => {
      expect(kids(open(key, { kid: 'mine' }), key.jwk, other.jwk)).toEqual(['other'])
      expect(kids(key.jwk, other.jwk, open(key), { ...key.jwk, kid: 'again', use: undefined })).toEqual(['other'])
      expect(kids(key.jwk, other.jwk, open(other, { use: 'enc' }))).toEqual([key.jwk.kid])
    })

  test('whatever exponent either of them has, and however the modulus is written', () => {
    expect(kids(open(rsa, { e: 'AQAD' }), rsa.jwk)).toEqual([])
    const padded = Buffer.concat([Buffer.alloc(1), Buffer.from(String(rsa.jwk.n), 'base64url')]).toString('base64url')
    expect(kids(open(rsa, { n: padded }), rsa.jwk)).toEqual([])
    expect(kids(open(rsa), { ...rsa.jwk, n: padded })).toEqual([])
  })

  test('and no other key', () => {
    expect(kids(open(ed), rsa.jwk, ec.jwk, other.jwk)).toEqual(['rsa', 'ec', 'other'])
    expect(kids({ kty: 'oct', k: 'AAAA' }, { d: 'AAAA' }, ec.jwk)).toEqual(['ec'])
    expect(kids('key', null, {}, ec.jwk)).toEqual(['ec'])
  })
})

describe('keys that are left out are told', () => {
  const log = createTestLog()
  const tell = createKeyTeller('sso', createLog(log))
  /** The lines that a set adds to the log. */
  function lines(...members: unknown[]) {
    const before = log.entries().length
    tell(readPublicKeys(members))
    return log.entries().slice(before)
  }

  test('by name or place, once for each change, in whatever order the server gives them', () => {
    expect(lines(ec.jwk)).toEqual([])
    expect(lines(ec.jwk, weak.jwk, { kty: 'XX' })).toMatchObject([
      {
        level: 'warn',
        msg: 'keys left out',
        authorization_server: 'sso',
        reasons: ['key "weak" has less than 2048 bits', 'key 3 is none of RSA, EC and OKP'],
        left_out: 2,
      },
    ])
    expect(lines(ec.jwk, weak.jwk, { kty: 'XX' })).toEqual([])
    expect(lines(ec.jwk)).toEqual([])
    const strange = { kty: 'XX', kid: 'strange' }
    expect(lines(ec.jwk, weak.jwk, strange)).toHaveLength(1)
    expect(lines(strange, ec.jwk, weak.jwk)).toEqual([])
    expect(lines(ec.jwk)).toEqual([])
    expect(lines(ec.jwk, weak.jwk)).toHaveLength(1)
  })

  test('a secret one louder, and nothing of it', () => {
    const [line] = lines(ec.jwk, open(ec), rsa.jwk)
    expect(line).toMatchObject({
      level: 'error',
      msg: 'a secret key lies open in the key set',
      reasons: ['key "ec" lies open: its private half stands beside it', 'key 2 has private members'],
    })
    const { d, x, y } = open(ec) as Record<string, string>
    for (const number of [d, x, y]) expect(JSON.stringify(line)).not.toContain(number)
  })

  test('not those for encryption, which servers publish too, unless nothing else is there', () => {
    expect(lines(ec.jwk)).toEqual([])
    expect(lines(ec.jwk, { ...rsa.jwk, use: 'enc' })).toEqual([])
    expect(lines({ ...rsa.jwk, use: 'enc' })[0]?.reasons).toEqual([
      'no key is left that can verify signatures',
      'key "rsa" is not for signatures (use)',
    ])
    expect(lines()[0]?.reasons).toEqual(['no key is left that can verify signatures'])
  })

  test('not without end, and in printable letters', () => {
    const [line] = lines(...Array.from({ length: 50 }, (_, index) => ({ kid: `${index}\n\u202e${'k'.repeat(1000)}` })))
    expect(line?.left_out).toBe(50)
    expect(line?.reasons).toHaveLength(10)
    const text = JSON.stringify(line)
    expect(text.length).toBeLessThan(3000)
    expect(text).not.toContain('\u202e')
  })
})
