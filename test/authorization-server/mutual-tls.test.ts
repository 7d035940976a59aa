import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testCertificate } from '../harness/certificates.ts'
import { createSecret } from '../harness/secrets.ts'
import { ask, claimsOf, connectTo, credentialOf } from './client-auth/ask.ts'

const owner = testCertificate('client')
const tls = { certificate: owner.certificate, private_key: owner.privateKey }
const bound = { tls_client_certificate_bound_access_tokens: true }
const byCertificate = { token_endpoint_auth_method: 'tls_client_auth', tls }
const secret = createSecret()
const clients = [
  {
    client_id: 'by-certificate',
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example.test',
  },
  { client_id: 'by-secret', client_secret: secret },
  { client_id: 'bound', client_secret: secret, ...bound },
] as const

const started: AuthorizationServer[] = []
async function start(options: { readonly alias?: boolean } | undefined = {}): Promise<AuthorizationServer> {
  const server = await startAuthorizationServer({ clients, tls: options })
  started.push(server)
  return server
}
beforeEach(() => {
  started.length = 0
})
afterEach(async () => {
  for (const server of started) await server.stop()
})

/** Where each token request arrived. */
const hosts = (server: AuthorizationServer) =>
  server.requestsTo('token').map(({ headers }) => `https://${headers.host}/token`)

describe('a client with a certificate', () => {
  it('asks at the endpoint that the server has for such clients, and others at the usual one', async () => {
    const authorizationServer = await start({ alias: true })
    const server = connectTo(authorizationServer)
    await ask(server, 'by-certificate', credentialOf(byCertificate))
    await ask(server, 'by-secret', credentialOf({ client_secret: secret }))
    expect(authorizationServer.aliasTokenEndpoint).not.toBe(authorizationServer.tokenEndpoint)
    expect(hosts(authorizationServer)).toEqual([
      authorizationServer.aliasTokenEndpoint,
      authorizationServer.tokenEndpoint,
    ])
    await server.close()
  })

  it('asks at the endpoint that the configuration names, if it names one', async () => {
    const authorizationServer = await start({ alias: true })
    const server = connectTo(authorizationServer, { token_endpoint: authorizationServer.tokenEndpoint })
    await expect(ask(server, 'by-certificate', credentialOf(byCertificate))).rejects.toMatchObject({
      ofClient: true,
    })
    expect(hosts(authorizationServer)).toEqual([authorizationServer.tokenEndpoint])
    await server.close()
  })

  it('asks at the alias that the configuration names, whatever is named or discovered beside it', async () => {
    const authorizationServer = await start({ alias: true })
    const server = connectTo(authorizationServer, {
      token_endpoint: authorizationServer.tokenEndpoint,
      mtls_endpoint_aliases: { token_endpoint: authorizationServer.aliasTokenEndpoint ?? '' },
    })
    await ask(server, 'by-certificate', credentialOf(byCertificate))
    await ask(server, 'by-secret', credentialOf({ client_secret: secret }))
    expect(hosts(authorizationServer)).toEqual([
      authorizationServer.aliasTokenEndpoint,
      authorizationServer.tokenEndpoint,
    ])
    await server.close()
  })

  it('gets tokens that are bound to it, with any method', async () => {
    const authorizationServer = await start()
    const server = connectTo(authorizationServer)
    const issued = await ask(server, 'bound', credentialOf({ client_secret: secret, tls, ...bound }))
    expect(claimsOf(issued).cnf).toEqual({ 'x5t#S256': owner.thumbprint })
    await server.close()
  })

  it('never shows it on the connections of another client', async () => {
    const authorizationServer = await start()
    const server = connectTo(authorizationServer)
    await ask(server, 'bound', credentialOf({ client_secret: secret, tls, ...bound }))
    await expect(ask(server, 'bound', credentialOf({ client_secret: secret }))).rejects.toMatchObject({
      code: 'authorization_server_refused',
    })
    await server.close()
  })

  it('does not ask over plain http, where it could not present its certificate', async () => {
    const authorizationServer = await startAuthorizationServer()
    started.push(authorizationServer)
    const server = connectTo(authorizationServer)
    await expect(ask(server, 'by-certificate', credentialOf(byCertificate))).rejects.toMatchObject({
      code: 'authorization_server_invalid_response',
      message: expect.stringContaining('plain http'),
    })
    expect(authorizationServer.requestsTo('token')).toEqual([])
    await server.close()
  })
})
