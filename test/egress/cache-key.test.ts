import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { signedAssertion } from '../authorization-server/client-auth/signed-assertion.ts'
import { testCertificate } from '../harness/certificates.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { type KeyWish, keysOf } from './wished-keys.ts'

const teller = fileURLToPath(new URL('key-teller.ts', import.meta.url))
const createKey = () => registerSecret(randomBytes(32).toString('base64url'))
const encryptionKeys = [createKey(), createKey()]

const servers = [
  { issuer: 'https://a.example' },
  { issuer: 'https://a.example/' },
  { issuer: 'https://a.example', discovery_url: 'https://b.example' },
  { issuer: 'https://a.example', token_endpoint: 'https://b.example' },
  { token_endpoint: 'https://b.example' },
]

const ecKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const [one, other] = [ecKey(), ecKey()]
const [secret, otherSecret] = [`${createSecret()}0123456789`, `${createSecret()}0123456789`]
const tlsOf = (name: Parameters<typeof testCertificate>[0]) => {
  const { certificate, privateKey } = testCertificate(name)
  return { certificate, private_key: privateKey }
}
const pemOf = (key: typeof one) => registerSecret(String(key.export({ type: 'pkcs8', format: 'pem' })))

/** Credentials by what they come down to: two of the same name are the same one, written in two ways. */
let credentials: readonly (readonly [is: string, credential: KeyWish['credential']])[]
beforeAll(async () => {
  const assertion = async (subject: string) =>
    signedAssertion(one, { iss: subject, sub: subject, aud: 'https://a.example', jti: createSecret() })
  credentials = [
    ['basic', { token_endpoint_auth_method: 'client_secret_basic', client_secret: secret }],
    ['basic, other', { token_endpoint_auth_method: 'client_secret_basic', client_secret: otherSecret }],
    ['post', { token_endpoint_auth_method: 'client_secret_post', client_secret: secret }],
    ['jwt', { token_endpoint_auth_method: 'client_secret_jwt', client_secret: secret }],
    ['key', { token_endpoint_auth_method: 'private_key_jwt', private_key: pemOf(one) }],
    [
      'key',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        private_key: registerSecret(JSON.stringify(one.export({ format: 'jwk' }))),
      },
    ],
    ['key, other', { token_endpoint_auth_method: 'private_key_jwt', private_key: pemOf(other) }],
    ['key, tls', { token_endpoint_auth_method: 'private_key_jwt', private_key: pemOf(one), tls: tlsOf('client') }],
    ['assertion', { token_endpoint_auth_method: 'client_assertion', client_assertion: await assertion('a') }],
    ['assertion', { token_endpoint_auth_method: 'client_assertion', client_assertion: await assertion('a') }],
    ['assertion, other', { token_endpoint_auth_method: 'client_assertion', client_assertion: await assertion('b') }],
    ['tls', { token_endpoint_auth_method: 'tls_client_auth', tls: tlsOf('client') }],
    ['tls, other', { token_endpoint_auth_method: 'tls_client_auth', tls: tlsOf('client-renewed') }],
    ['self-signed', { token_endpoint_auth_method: 'self_signed_tls_client_auth', tls: tlsOf('client') }],
    ['none', { token_endpoint_auth_method: 'none', allow_unauthenticated_client: true }],
  ]
})

/** Few values, so that wishes are often equal, and such as would run together if they were joined. */
const words = (...more: string[]) =>
  fc.constantFrom('a', 'b', 'ab', 'a,b', 'a"b', 'a:b', 'a&b=c', 'ä', 'a\u0308', ...more)
const list = (entry: fc.Arbitrary<string>) => fc.array(entry, { maxLength: 2 })

interface Drawn extends Omit<KeyWish, 'credential'> {
  readonly credential: number
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  server: fc.constantFrom(...servers) as fc.Arbitrary<Record<string, string>>,
  credential: fc.nat(14),
  clientId: words('a b'),
  policy: fc.constantFrom('warn', 'exact'),
  scopes: list(fc.constantFrom('a', 'b', 'ab', 'a,b', 'a:b', 'scope=a')),
  audience: list(words('a b', 'urn:a')),
  resource: list(fc.constantFrom('urn:a', 'urn:b', 'urn:a,urn:b', 'https://a.example/?a=b')),
  params: fc.dictionary(words('x', 'audiences'), words('a b'), { maxKeys: 2 }),
})

const wishOf = (draw: Drawn): KeyWish => ({ ...draw, credential: credentials[draw.credential]?.[1] ?? {} })

const asSet = (values: readonly string[]) => [...new Set(values)].sort()

/** What a token request comes down to. */
const meaningOf = ({ credential, scopes, audience, resource, params, ...rest }: Drawn) =>
  JSON.stringify([
    ...Object.entries(rest).sort(([one], [other]) => (one < other ? -1 : 1)),
    credentials[credential]?.[0],
    ...[scopes, audience, resource].map(asSet),
    Object.entries(params).sort(([one], [other]) => (one < other ? -1 : 1)),
  ])

async function keysElsewhere(wishes: readonly KeyWish[], keys: readonly string[]): Promise<unknown> {
  const child = spawn(process.execPath, [teller], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify({ wishes, encryptionKeys: keys }))
  return json(child.stdout)
}

/** Each drawn request, and neighbours that differ from it in one thing, or in none. */
function drawAll(count: number): Drawn[] {
  const neighbours = fc
    .tuple(drawn, drawn)
    .chain(([from, to]) =>
      fc
        .constantFrom('server', 'credential', 'clientId', 'policy', 'scopes', 'audience', 'resource', 'params')
        .map((name) => [from, { ...from, [name]: to[name as keyof Drawn] }] as [Drawn, Drawn]),
    )
  return fc.sample(neighbours, count).flat()
}

test('no two different token requests share a key, and the same one has the same key in every process', async () => {
  const draws = drawAll(600)
  const wishes = draws.map(wishOf)
  const keys = await keysOf(wishes, encryptionKeys)
  const meanings = draws.map(meaningOf)
  const keyOfMeaning = new Map<string, string>()
  const meaningOfKey = new Map<string, string>()
  for (const [index, meaning] of meanings.entries()) {
    const key = keys[index]?.[0] ?? ''
    expect(keyOfMeaning.get(meaning) ?? key).toBe(key)
    expect(meaningOfKey.get(key) ?? meaning).toBe(meaning)
    keyOfMeaning.set(meaning, key)
    meaningOfKey.set(key, meaning)
  }
  // There were such as are the same, and many that are not.
  expect(keyOfMeaning.size).toBeLessThan(draws.length)
  expect(keyOfMeaning.size).toBeGreaterThan(draws.length / 2)
  expect(await keysElsewhere(wishes, encryptionKeys)).toEqual(keys)
})

test('of two keys for encryption each has its own names, and who has exchanged them finds both', async () => {
  const [draw] = drawAll(1)
  const wishes = draw ? [wishOf(draw)] : []
  const [names = []] = await keysOf(wishes, encryptionKeys)
  expect(new Set(names).size).toBe(2)
  expect(await keysOf(wishes, encryptionKeys.toReversed())).toEqual([names.toReversed()])
  const [others = []] = await keysOf(wishes, [createKey()])
  expect(names).not.toContain(others[0])
})
