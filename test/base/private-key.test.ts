import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createClientCertificate } from '../../src/base/client-certificate.ts'
import { keyFaultOf, readPrivateKey } from '../../src/base/private-key.ts'
import { Secret } from '../../src/base/secret.ts'
import { testCertificate } from '../harness/certificates.ts'
import { registerSecret } from '../harness/secrets.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = registerSecret(String(privateKey.export({ format: 'pem', type: 'sec1' })))
const jwk = privateKey.export({ format: 'jwk' })
const publicJwk = (key: KeyObject): JsonWebKey => createPublicKey(key).export({ format: 'jwk' })

describe('a private key is read', () => {
  it.each([
    [
      'as openssl ecparam writes it, behind the parameters of its curve',
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem}`,
    ],
    ['with the line ends of Windows', pem.replaceAll('\n', '\r\n')],
    ['with its lines joined by \\n', pem.replaceAll('\n', '\\n')],
    ['behind the remarks of a tool', `Bag Attributes\n    friendlyName: billing\n${pem}`],
    ['as a JWK, with blanks around it', `\n ${JSON.stringify(jwk)} \n`],
  ])('%s', (_name, text) => {
    expect(publicJwk(readPrivateKey(text))).toEqual(publicJwk(privateKey))
  })
})

describe('a private key is refused, and never quoted', () => {
  const { d, ...open } = jwk
  it.each([
    ['a public JWK', JSON.stringify(open), 'is a public JWK: its private part ("d") is missing'],
    ['a JWK set', JSON.stringify({ keys: [jwk] }), 'is a JWK set; give the one JWK that is meant'],
    ['a symmetric JWK', JSON.stringify({ kty: 'oct', k: d }), 'is a symmetric JWK, and must be a private key'],
    ['half a JWK', JSON.stringify(jwk).slice(0, -9), 'begins like a JWK, and is no JSON object'],
    [
      'a JWK whose members do not fit',
      JSON.stringify({ ...jwk, crv: 'P-521' }),
      'is a JWK whose members do not make a private key',
    ],
    [
      'a public PEM',
      String(createPublicKey(privateKey).export({ format: 'pem', type: 'spki' })),
      'is a public key, and must be the private key',
    ],
    ['half a PEM', pem.slice(0, 90), 'is no readable ec private key in PEM'],
    ['a word', 'hunter2', 'is neither a key in PEM nor a JWK; give the whole file, as in ${file:key.pem}'],
  ])('%s', (_name, text, message) => {
    expect(keyFaultOf(() => readPrivateKey(text))).toEqual({ path: ['private_key'], message })
  })
})

it('a certificate and its key may stand in one line each', () => {
  const { certificate, privateKey: key, thumbprint } = testCertificate('client')
  const folded = (text: string) => new Secret(() => text.replaceAll('\n', '\\n'))
  const presented = createClientCertificate({ certificate: folded(certificate), private_key: folded(key) }).read()
  expect([presented.thumbprint, presented.certificate]).toEqual([thumbprint, certificate])
})
