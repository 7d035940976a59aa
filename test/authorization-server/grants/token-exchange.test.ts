import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AuthorizationServer } from '../../../src/authorization-server/authorization-server.ts'
import { tokenExchange, tokenTypes } from '../../../src/authorization-server/grants/token-exchange.ts'
import { requestToken } from '../../../src/authorization-server/token-endpoint.ts'
import { clientOptions, createCredential } from '../../../src/egress/client.ts'
import { answerWith } from '../../harness/authorization-server.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import { startUpstream, type Upstream } from '../../harness/upstream.ts'
import { createServer, failureOf } from '../asking.ts'

let endpoint: Upstream
let server: AuthorizationServer
beforeAll(async () => {
  endpoint = await startUpstream()
  server = createServer({ token_endpoint: `${endpoint.url}/as/token.oauth2` })
})
afterAll(() => Promise.all([endpoint.stop(), server.close()]))

const client = clientOptions.parse({
  authorization_server: 'sso',
  client_id: 'rs08',
  client_secret: registerSecret('long-secure-random-secret'),
})
const subject = registerSecret('accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC')

const exchange = (requestedType?: string) =>
  requestToken({
    server,
    clientId: 'rs08',
    credential: createCredential(client),
    grant: tokenExchange({ token: subject, type: tokenTypes.access_token, requestedType }),
    parameters: [['resource', 'https://backend.example.com/api']],
  })

/** The answer of RFC 8693 section 2.3, with a token that is as opaque to a client as theirs. */
const answer = {
  access_token: createSecret(),
  issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  token_type: 'Bearer',
  expires_in: 60,
}
beforeEach(() => endpoint.answer(answerWith(200, answer)))

describe('the example of RFC 8693 section 2.3', () => {
  it('is the request, to the letter', async () => {
    await exchange()
    const seen = endpoint.requests.at(-1)
    expect([seen?.method, seen?.url]).toEqual(['POST', '/as/token.oauth2'])
    expect(seen?.headers.authorization).toBe('Basic cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0')
    expect(seen?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
    const example =
      'grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange' +
      '&resource=https%3A%2F%2Fbackend.example.com%2Fapi' +
      '&subject_token=accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC' +
      '&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token'
    expect(seen?.body().toString().split('&').sort()).toEqual(example.split('&').sort())
  })

  it('is the answer that is understood', async () => {
    expect(await exchange()).toEqual({ accessToken: answer.access_token, scope: undefined, expiresIn: 60 })
  })
})

describe('an answer that is none', () => {
  const idToken = 'urn:ietf:params:oauth:token-type:id_token'
  it.each([
    ['without issued_token_type', { issued_token_type: undefined }, 'issued_token_type is missing'],
    ['with an ID token', { issued_token_type: idToken }, 'issued_token_type is not that of the token'],
    ['with a JWT that nobody asked for', { issued_token_type: tokenTypes.jwt }, 'issued_token_type is not that'],
    ['with what is no access token', { token_type: 'N_A' }, 'the token_type is N_A'],
    ['with the same in other letters', { token_type: 'n_a' }, 'the token_type is N_A'],
    ['with a token that is bound to a key', { token_type: 'DPoP' }, 'the token_type is not Bearer'],
  ])('%s', async (_what, fields, reason) => {
    endpoint.answer(answerWith(200, { ...answer, ...fields }))
    const error = await failureOf(exchange())
    expect([error.code, error.options.reason]).toEqual([
      'authorization_server_invalid_response',
      expect.stringContaining(reason),
    ])
  })

  it('is one where another type was asked for, and came', async () => {
    endpoint.answer(answerWith(200, { ...answer, issued_token_type: tokenTypes.jwt }))
    expect((await exchange(tokenTypes.jwt)).accessToken).toBe(answer.access_token)
    endpoint.answer(answerWith(200, answer))
    expect((await failureOf(exchange(tokenTypes.jwt))).code).toBe('authorization_server_invalid_response')
  })
})
