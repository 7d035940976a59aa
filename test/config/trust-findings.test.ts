import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { createSigningKey } from '../harness/tokens.ts'

const jwks = JSON.stringify({ keys: [createSigningKey('ES256').jwk] })

/** The warnings of a server, with a client that uses it unless `client` says otherwise. */
function warnings(server: string, { client = true, listeners = '' } = {}) {
  const text = `
${listeners}
authorization_servers: { sso: { issuer: "https://sso.example.com", ${server} } }
clients: { ${client ? 'c: { authorization_server: sso, client_id: c, client_secret: "${env:S}" }' : ''} }
routes:
  - { path: /a, public: true, upstream: "http://a:8080" }
  ${client ? '- { path: /b, callers: { networks: [loopback] }, token: { client: c }, upstream: "https://b.example.com" }' : ''}`
  return parseConfig(text, { file: 'x.yaml', env: { S: 's', KEYS: jwks } }).warnings.map(
    ({ path, message }) => `${path}: ${message}`,
  )
}
const tokens = 'access_tokens: { audience: any }'
const ofKeys = 'is of no use without access_tokens, whose signatures it is for'

describe('a server is warned of', () => {
  it('keys, and where to get them, when none of its tokens is trusted', () => {
    expect(warnings('keys: { refresh: 1h }')).toEqual([`authorization_servers.sso.keys: ${ofKeys}`])
    expect(warnings('jwks_uri: "https://sso.example.com/keys"')).toEqual([
      `authorization_servers.sso.jwks_uri: ${ofKeys}`,
    ])
    expect(warnings(`keys: { refresh: 1h }, jwks_uri: "https://sso.example.com/keys", ${tokens}`)).toEqual([])
  })

  it('a discovery_url where nothing is to be discovered', () => {
    const url = 'discovery_url: "https://sso.internal/metadata"'
    const told = [expect.stringMatching(/^authorization_servers\.sso\.discovery_url: is never asked/)]
    expect(warnings(`${url}, jwks: "\${env:KEYS}", ${tokens}`, { client: false })).toEqual(told)
    expect(warnings(`${url}, jwks: "\${env:KEYS}", token_endpoint: "https://sso.example.com/t", ${tokens}`)).toEqual(
      told,
    )
    expect(warnings(`${url}, jwks: "\${env:KEYS}", ${tokens}`)).toEqual([])
    expect(warnings(`${url}, token_endpoint: "https://sso.example.com/t", ${tokens}`)).toEqual([])
    expect(warnings(url)).toEqual([])
  })

  it('a set of keys that is empty', () => {
    expect(warnings(`jwks: '{"keys":[]}', ${tokens}`)).toEqual([
      'authorization_servers.sso.jwks: holds the empty set: every token of the server is refused',
    ])
  })

  it('tokens that no listener lets through', () => {
    const large = 'access_tokens: { audience: any, max_token_size: 32KiB }'
    const listeners = (size: string) => `listeners: { main: { limits: { header_size: ${size} } } }`
    expect(warnings(large)).toEqual([
      expect.stringMatching(/^authorization_servers\.sso\.access_tokens\.max_token_size: is more than the headers/),
    ])
    expect(warnings(large, { listeners: listeners('64KiB') })).toEqual([])
    expect(warnings(tokens, { listeners: listeners('8KiB') })).toEqual([])
    expect(warnings(large.replace('32KiB', '16KiB'))).toEqual([])
  })

  it('an issuer that it names twice, and is not told that it is its own rival', () => {
    const twice = 'access_tokens: { audience: any, issuers: ["https://a.example.com", "https://a.example.com"] }'
    expect(warnings(twice)).toEqual(['authorization_servers.sso.access_tokens.issuers[1]: stands there twice'])
  })
})

it('keys that can do one of the accepted algorithms will do', () => {
  expect(warnings(`jwks: "\${env:KEYS}", access_tokens: { audience: any, algorithms: [RS256, ES256] }`)).toEqual([])
  expect(warnings(`jwks: "\${env:KEYS}", access_tokens: { audience: any, algorithms: ES256 }`)).toEqual([])
})
