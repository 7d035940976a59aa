import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { findLeaks } from './leaks.ts'

const secret = 'p"s&s w:rd%ü+long'
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
const base64url = (text: string | Buffer) => Buffer.from(text).toString('base64url')
const everyOther = (text: string) => text.replaceAll(/..|.$/g, (pair) => pair.charAt(0).toUpperCase() + pair.slice(1))

describe('a secret is found', () => {
  it.each([
    ['as it is', secret],
    ['as JSON', JSON.stringify({ secret })],
    ['as JSON within JSON', JSON.stringify(JSON.stringify({ secret }))],
    ['as JSON that escapes what it need not', `p\\u0022s\\u0026s w:rd%\\u00fc+long`],
    ['as a URL', encodeURIComponent(secret)],
    ['as a URL in lower case', encodeURIComponent(secret).toLowerCase()],
    ['as a URL of which every byte is encoded', Buffer.from(secret).toString('hex').replaceAll(/../g, '%$&')],
    ['as a form', String(new URLSearchParams({ secret }))],
    ['as Base64', base64(secret)],
    ['as Base64 one byte on', base64(`:${secret}`)],
    ['as Base64 two bytes on', base64(`a:${secret}`)],
    ['as base64url, behind a name', `scopegate:x/${base64url(secret)}`],
    ['as Base64 within a longer word', `aa${base64(secret)}aa`],
    ['as Base64 over several lines', `${base64(secret).slice(0, 17)}\n${base64(secret).slice(17)}`],
    ['as Base64 of Base64', base64(`of ${base64(`a:${secret}`)}`)],
    [
      'in a request that is a name',
      `{${base64url(
        JSON.stringify([
          ['client', 'a'],
          ['secret', secret],
        ]),
      )}}:token`,
    ],
    ['as Basic credentials, form-encoded', base64(`a:${encodeURIComponent(secret)}`)],
    ['in hexadecimal', Buffer.from(secret).toString('hex')],
    ['in hexadecimal behind a digit', `a${everyOther(Buffer.from(secret).toString('hex'))}`],
    ['as Node prints a Buffer', inspect(Buffer.from(secret))],
    ['as JSON has a Buffer', JSON.stringify(Buffer.from(secret))],
    ['as MONITOR tells of bytes', `"p\\"s&s w:rd%\\xc3\\xbc+long"`],
  ])('%s', (_spelling, text) => {
    expect(findLeaks(`before ${text} after`, [secret])).toHaveLength(1)
    expect(findLeaks(`before ${text} after`, ['another one'])).toEqual([])
  })

  it('by its bytes, however they are written', () => {
    const bytes = randomBytes(32)
    for (const text of [bytes.toString('hex'), base64(bytes), base64(Buffer.concat([Buffer.from('key='), bytes]))])
      expect(findLeaks(`a ${text} b`, [base64url(bytes)])).toHaveLength(1)
  })

  it('as a stored entry that is only encoded', () => {
    const token = base64url(randomBytes(24))
    const entry = base64url(JSON.stringify({ id: 'abc', value: token, obtainedAt: 1, life: 2 }))
    expect(findLeaks(`scopegate:{name}:token v1.aabbccddeef.${entry}`, [token])).toHaveLength(1)
  })
})

describe('a private key is found', () => {
  const passphrase = 'a long passphrase'
  const kinds: [name: string, key: KeyObject][] = [
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
    ['EC', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    ['Ed25519', generateKeyPairSync('ed25519').privateKey],
  ]
  const pemOf = (key: KeyObject, encryption: { cipher?: string; passphrase?: string } = {}) =>
    String(key.export({ format: 'pem', type: 'pkcs8', ...encryption }))
  const bodyOf = (pem: string) => pem.split('\n').slice(1, -2)

  describe.each(kinds)('%s', (_kind, key) => {
    const pem = pemOf(key)
    const der = key.export({ format: 'der', type: 'pkcs8' })
    const jwk = key.export({ format: 'jwk' })
    const spellings: [string, string][] = [
      ['as PEM', pem],
      ['as PEM in one line', pem.replaceAll('\n', '\\n')],
      ['as PEM in JSON in JSON', JSON.stringify(JSON.stringify(pem))],
      ['as the body of a PEM, in one line', bodyOf(pem).join('')],
      ['as DER in Base64, with something before it', base64(Buffer.concat([Buffer.from('k'), der]))],
      ['as DER in hexadecimal', der.toString('hex')],
      ['as a JWK', JSON.stringify(jwk)],
      ['as the d of a JWK', `"d":"${jwk.d}"`],
    ]

    it.each(spellings)('%s', (_spelling, text) => {
      for (const known of [pem, pem.replaceAll('\n', '\\n'), JSON.stringify(jwk)])
        expect(findLeaks(`before ${text} after`, [known])).toHaveLength(1)
    })

    it('though not by what is public of it', () => {
      const { d, p, q, dp, dq, qi, ...open } = jwk
      expect(findLeaks(JSON.stringify(open), [pem])).toEqual([])
    })

    it('though it is encrypted', () => {
      const encrypted = pemOf(key, { cipher: 'aes-256-cbc', passphrase })
      for (const text of [encrypted, JSON.stringify(encrypted), bodyOf(encrypted).join('')])
        expect(findLeaks(text, [encrypted])).toHaveLength(1)
    })
  })

  it.each(['p', 'q'] as const)('by the %s of a JWK alone', (part) => {
    const [[, key]] = kinds as [[string, KeyObject]]
    expect(findLeaks(`"${key.export({ format: 'jwk' })[part]}"`, [pemOf(key)])).toHaveLength(1)
  })

  it('by two lines of its PEM', () => {
    const [[, key]] = kinds as [[string, KeyObject]]
    const pem = pemOf(key)
    expect(findLeaks(bodyOf(pem).slice(8, 10).join(' '), [pem])).toHaveLength(1)
  })
})

it('anything that looks like a JWT is found, also within Base64, and the signature of a known one alone', () => {
  const token = `eyJhbGciOiJS.eyJpc3MiOiJo.${'s'.repeat(20)}`
  expect(findLeaks(`token=${token.slice(0, 30)}`, [])).toHaveLength(1)
  expect(findLeaks(base64(`token ${token}`), [])).toHaveLength(1)
  expect(findLeaks('s'.repeat(20), [token])).toHaveLength(1)
})
