import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSigningKey, createToken, type TokenParts } from '../harness/tokens.ts'
import { audience, parts, startVerifier, type TestVerifier } from './verifier.ts'

const key = createSigningKey('RS256')
let verifier: TestVerifier

beforeAll(async () => {
  verifier = await startVerifier({ keys: [key], options: { audience, algorithms: ['RS256', 'ES256'] } })
})
afterAll(() => verifier.stop())

test.each<[string, Partial<TokenParts>, string]>([
  ['typ', { header: { typ: 'logout+jwt' } }, 'its typ header "logout+jwt" is none of the accepted ones'],
  ['alg', { header: { alg: 'HS256' } }, 'its algorithm "HS256" is none of the accepted ones'],
  ['kid', { header: { kid: 'of-last-year' } }, 'no key of its server fits its kid "of-last-year" and algorithm RS256'],
  ['kid', { header: { kid: '\n\u0000é' } }, 'no key of its server fits its kid "\\n\\u0000?" and algorithm RS256'],
  ['kid', { header: { alg: 'ES256', kid: undefined } }, 'no key of its server fits its kid none and algorithm ES256'],
  ['iss', { claims: { iss: 'https://old.example' } }, 'its issuer is not trusted: "https://old.example"'],
  ['aud', { claims: { aud: ['a', 'b'] } }, 'its aud ["a","b"] is none of the accepted ones'],
])('whoever reads the log sees which %s it was that is not accepted', async (_what, changes, reason) => {
  const thrown = await verifier.verify(createToken(key, parts(changes))).catch((error: unknown) => error)
  expect(thrown).toMatchObject({ code: 'invalid_token', options: { reason } })
})

test('and of a long one its beginning', async () => {
  const token = createToken(key, parts({ header: { typ: 'x'.repeat(5000) } }))
  const thrown = await verifier.verify(token).catch((error: unknown) => error)
  expect((thrown as Error).message.length).toBeLessThan(300)
})
