import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { testCertificate } from '../harness/certificates.ts'

const { privateKey } = testCertificate('client')

interface Wish {
  readonly server?: string
  readonly client?: string
  readonly env?: Readonly<Record<string, string>>
}

function load({ server = 'preset: okta, issuer: "https://example.okta.com/oauth2/default"', client, env = {} }: Wish) {
  const text = `
authorization_servers: { sso: { ${server} } }
${client === undefined ? '' : `clients: { c: { authorization_server: sso, client_id: c, ${client} } }`}
routes: [{ path: /a, ${client === undefined ? 'public: true' : 'callers: { networks: [loopback] }, token: { client: c }'}, upstream: "https://a" }]`
  return parseConfig(text, {
    file: 'test.yaml',
    env: { KEY: privateKey, SECRET: 'a-secret-of-32-bytes-at-the-least', ...env },
  })
}

const secret = 'client_secret: "${env:SECRET}"'
const signed = 'token_endpoint_auth_method: private_key_jwt, private_key: "${env:KEY}"'

describe('a preset', () => {
  it('makes no server trusted that has no access_tokens block', () => {
    const { authorization_servers: servers } = load({ client: secret })
    expect(servers.sso?.access_tokens).toBeUndefined()
  })

  it('says nothing of the audience, which has still to be written', () => {
    const server = 'preset: okta, issuer: "https://example.okta.com/oauth2/default", access_tokens: {}'
    expect(() => load({ server })).toThrow('access_tokens.audience: is missing')
  })

  it('gives way key by key to what stands in the file', () => {
    const server =
      'preset: okta, issuer: "https://example.okta.com/oauth2/default", access_tokens: { audience: a, scope_claims: groups }'
    const { authorization_servers: servers, clients } = load({ server, client: `${signed}, assertion_type: none` })
    expect(servers.sso?.access_tokens?.scope_claims).toEqual([['groups']])
    expect(servers.sso?.access_tokens?.client_id_claims).toEqual([['cid']])
    expect(clients.c).toMatchObject({ assertion_type: 'none', assertion_audience: 'token_endpoint' })
  })

  it('speaks of the clients of its own server alone, by the method that they have', () => {
    const text = `
authorization_servers:
  okta: { preset: okta, issuer: "https://example.okta.com/oauth2/default" }
  other: { issuer: "https://sso.example.com" }
clients:
  posts: { authorization_server: okta, client_id: c, client_secret: "\${env:SECRET}" }
  signs: { authorization_server: other, client_id: c, ${signed} }
routes: []`
    const { clients } = parseConfig(text, {
      file: 'test.yaml',
      env: { KEY: privateKey, SECRET: 's' },
      routes: 'optional',
    })
    expect(clients.posts).not.toHaveProperty('assertion_audience')
    expect(clients.signs).toMatchObject({
      assertion_audience: 'issuer',
      assertion_type: 'client-authentication+jwt',
    })
  })

  it('and a method may stand in variables', () => {
    const { clients } = load({
      server: 'preset: "${env:PRESET}", issuer: "https://example.okta.com/oauth2/default"',
      client: 'token_endpoint_auth_method: "${env:METHOD}", private_key: "${env:KEY}"',
      env: { PRESET: 'okta', METHOD: 'private_key_jwt' },
    })
    expect(clients.c).toMatchObject({ assertion_audience: 'token_endpoint' })
  })

  it('changes nothing of a server that has none', () => {
    const { authorization_servers: servers } = load({
      server: 'issuer: "https://sso.example.com", access_tokens: { audience: a }',
    })
    expect(servers.sso?.access_tokens?.scope_claims).toEqual([['scope'], ['scp']])
    expect(servers.sso?.client_errors).toBeUndefined()
  })

  it('warns of no default that is of no use here', () => {
    const tenant = 'https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/'
    const { warnings } = load({
      server: `preset: entra-id, issuer: "${tenant}", jwks_uri: "https://keys.example.com", access_tokens: { audience: a }`,
    })
    expect(warnings).toEqual([])
  })
})

describe('what follows from the issuer', () => {
  const of = (preset: string, issuer: string) =>
    load({ server: `preset: ${preset}, issuer: "${issuer}", access_tokens: { audience: a }` }).authorization_servers.sso
  const tenant = 'aaaabbbb-0000-cccc-1111-dddd2222eeee'

  it('Entra ID, version 1: where its metadata is, and the claim of its clients', () => {
    const server = of('entra-id', `https://sts.windows.net/${tenant}/`)
    expect(server?.discovery_url).toBe(`https://login.microsoftonline.com/${tenant}/.well-known/openid-configuration`)
    expect(server?.access_tokens?.required_claims).toEqual([['appid']])
  })

  it('Entra ID, version 2: discovered as usual', () => {
    const server = of('entra-id', `https://login.microsoftonline.com/${tenant}/v2.0`)
    expect(server?.discovery_url).toBeUndefined()
    expect(server?.access_tokens?.required_claims).toEqual([['azp']])
  })

  it.each([
    ['entra-id', 'https://sts.windows.net.attacker.example/aaaabbbb-0000-cccc-1111-dddd2222eeee/'],
    ['adfs', 'https://adfs.example.com/adfs/other'],
    ['google', 'https://accounts.google.com.attacker.example'],
    ['google', 'https://securetoken.google.com/project'],
  ])('%s: nothing of %s', (preset, issuer) => {
    const server = of(preset, issuer)
    expect(server?.discovery_url).toBeUndefined()
    expect(server?.access_tokens?.issuers).toBeUndefined()
    expect(server?.access_tokens?.required_claims).toBeUndefined()
  })
})
