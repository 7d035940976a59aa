import { describe, expect, it } from 'vitest'
import { Substituted } from '../../src/base/substituted.ts'
import { clientOptions, tokenOptions } from '../../src/egress/client.ts'
import { keyFor, pem } from '../authorization-server/client-auth/method-rows.ts'

const client = { authorization_server: 'sso', client_id: 'batch', client_secret: 'secret-of-the-schema' }
const token = { client: 'batch' }

/** Where a schema finds faults, as paths. */
function faults(schema: typeof clientOptions | typeof tokenOptions, given: object): string[] {
  return schema.safeParse(given).error?.issues.map(({ path }) => path.join('.')) ?? []
}

describe('a client', () => {
  it('authenticates by client_secret_basic unless it says otherwise', () => {
    expect(clientOptions.parse(client)).toMatchObject({
      token_endpoint_auth_method: 'client_secret_basic',
      basic_encoding: 'rfc6749',
      scope_policy: 'warn',
    })
  })

  it('has the keys of its own method alone', () => {
    const post = { ...client, token_endpoint_auth_method: 'client_secret_post' }
    expect(faults(clientOptions, post)).toEqual([])
    expect(clientOptions.safeParse({ ...post, basic_encoding: 'raw' }).error?.issues[0]).toMatchObject({
      code: 'unrecognized_keys',
      keys: ['basic_encoding'],
    })
  })

  it('shows an assertion in place of its name, if its grant says so and it has nothing else to show', () => {
    const { client_secret: _, ...bare } = client
    const grant_assertion = { private_key: pem(keyFor('ES256')), subject: 'none' }
    const given = { ...bare, grant: 'jwt-bearer', grant_assertion }
    expect(clientOptions.parse(given)).toMatchObject({ token_endpoint_auth_method: 'none' })
    const grant = new Substituted(() => 'jwt-bearer', { fromFile: false, hasDefault: false })
    expect(clientOptions.parse({ ...given, grant })).toMatchObject({ token_endpoint_auth_method: 'none' })
    expect(clientOptions.parse({ ...given, client_secret: client.client_secret })).toMatchObject({
      token_endpoint_auth_method: 'client_secret_basic',
    })
  })

  it('has a method that there is', () => {
    expect(faults(clientOptions, { ...client, token_endpoint_auth_method: 'basic_auth' })).toEqual([
      'token_endpoint_auth_method',
    ])
  })
})

describe.for([
  ['a client', clientOptions, client, 'token_params'],
  ['a route', tokenOptions, token, 'params'],
] as const)('what %s asks for', ([, schema, given, params]) => {
  const faultsOf = (more: object) => faults(schema, { ...given, ...more })

  it.for<[told: string, more: object, parsed: object]>([
    ['a scope as text', { scope: 'email profile email' }, { scope: ['email', 'profile'] }],
    ['scopes as a list', { scopes: ['email', 'profile'] }, { scopes: ['email', 'profile'] }],
    ['one audience', { audience: 'https://a.example' }, { audience: ['https://a.example'] }],
    ['several audiences', { audience: ['a', 'b'] }, { audience: ['a', 'b'] }],
    ['a resource that is no address', { resource: 'urn:api' }, { resource: ['urn:api'] }],
    ['parameters', { [params]: { tenant: 'a b' } }, { [params]: { tenant: 'a b' } }],
  ])('%s', ([, more, parsed]) => {
    expect(schema.parse({ ...given, ...more })).toMatchObject(parsed)
  })

  it.for<[told: string, more: object, path: string]>([
    ['scope beside scopes', { scope: 'a', scopes: ['b'] }, 'scopes'],
    ['several values as one entry of a list', { scopes: ['a b'] }, 'scopes.0'],
    ['a scope with a quote', { scope: 'a"b' }, 'scope'],
    ['no scope in the list', { scopes: [] }, 'scopes'],
    ['no audience in the list', { audience: [] }, 'audience'],
    ['a resource with a fragment', { resource: 'https://a.example/#b' }, 'resource'],
    ['a resource that is relative', { resource: '/a' }, 'resource'],
  ])('not %s', ([, more, path]) => {
    expect(faultsOf(more)).toEqual([path])
  })

  it.for([
    'grant_type',
    'client_id',
    'client_secret',
    'client_assertion',
    'client_assertion_type',
    'assertion',
    'subject_token',
    'subject_token_type',
    'actor_token',
    'scope',
    'audience',
    'resource',
    '',
  ])('not the parameter "%s", which would stand there twice', (name) => {
    expect(faultsOf({ [params]: { [name]: 'x' } })).toEqual([`${params}.${name}`])
  })
})

describe('where a token goes', () => {
  it('into Authorization, as Bearer, unless the route says otherwise', () => {
    expect(tokenOptions.parse(token)).toMatchObject({ header: 'Authorization', scheme: 'Bearer' })
    expect(tokenOptions.parse({ ...token, header: 'X-Api-Token', scheme: 'none' })).toMatchObject({
      header: 'X-Api-Token',
      scheme: '',
    })
  })

  it.for(['Host', 'content-length', 'Transfer-Encoding', 'Connection', 'Via', 'a b', 'a:', 'a\r\nb'])(
    'never into %j',
    (header) => {
      expect(faults(tokenOptions, { ...token, header })).toEqual(['header'])
    },
  )

  it.for(['Bearer Bearer', 'a\r\nb', ''])('never behind %j', (scheme) => {
    expect(faults(tokenOptions, { ...token, scheme })).toEqual(['scheme'])
  })
})
