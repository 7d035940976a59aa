import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'

const servers = `
authorization_servers:
  sso: { issuer: https://sso.example.com, access_tokens: { audience: any } }
  sso-inside: { issuer: https://sso.example.com, token_endpoint: https://sso.internal/token }
  partner: { issuer: https://partner.example, access_tokens: { audience: any } }`

/** The warnings of a route that exchanges tokens at this server. */
function warnings(server: string, require: string, more = '') {
  const text = `${servers}
clients: { c: { authorization_server: ${server}, client_id: c, client_secret: "\${env:S}" } }
routes:
  - { path: /a, require: ${require}, token: { client: c, exchange: subject_token${more} }, upstream: "https://a.example" }`
  const { warnings: told } = parseConfig(text, { file: 'x.yaml', env: { S: 's' } })
  return told.filter(({ path }) => path.includes('exchange')).map(({ path, message }) => `${path}: ${message}`)
}

describe('a route that exchanges tokens is warned of', () => {
  it('tokens that the client’s server did not issue', () => {
    const told =
      'routes[0].token.exchange: shows tokens of partner to sso as if they were its own: narrow require.issuers, or say what they are to it with subject_token_type: jwt'
    expect(warnings('sso', 'any_token')).toEqual([told])
    expect(warnings('sso', '{ issuers: [partner] }')).toEqual([told])
    expect(warnings('sso', '{ issuers: [sso] }')).toEqual([])
    expect(warnings('sso', 'any_token', ', subject_token_type: jwt')).toEqual([])
    expect(warnings('sso', 'any_token', ', subject_token_type: "urn:acme:token"')).toEqual([])
  })

  it('but not where one server stands there twice', () => {
    expect(warnings('sso-inside', '{ issuers: [sso] }')).toEqual([])
    expect(warnings('sso-inside', '{ issuers: [partner] }')).toHaveLength(1)
  })
})
