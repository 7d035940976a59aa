import type { RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { withCertificate } from '../../src/authorization-server/client-auth/tls.ts'
import { Secret } from '../../src/base/secret.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'
import { listen } from '../harness/listen.ts'
import { createTlsServer } from '../harness/mutual-tls.ts'
import { createSecret } from '../harness/secrets.ts'
import { createServer } from './asking.ts'
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

/** A token endpoint that takes everybody. */
async function startEndpoint(listener: RequestListener) {
  const listening = await listen(createTlsServer(listener, true))
  onTestFinished(listening.stop)
  return connectToEndpoint(listening.port)
}

function connectToEndpoint(port: number) {
  const server = createServer({
    issuer: 'https://sso.example.com',
    token_endpoint: `https://127.0.0.1:${port}/token`,
    tls: { ca: testAuthority },
  })
  onTestFinished(() => server.close())
  return server
}

const granted: RequestListener = (request, response) => {
  request.resume()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ access_token: createSecret(), token_type: 'Bearer' }))
}

describe('a certificate that changes', () => {
  it('while a request is being signed goes out with it, and costs nobody a token', async () => {
    const shown: string[] = []
    const server = await startEndpoint((request, response) => {
      shown.push((request.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? 'none')
      granted(request, response)
    })
    const renewed = testCertificate('client-renewed')
    let now = owner
    const reading = (read: () => string) => new Secret(read)
    const changing = {
      certificate: reading(() => now.certificate),
      private_key: reading(() => now.privateKey),
    }
    const signed = withCertificate(
      {
        identify: () => '',
        async authenticate() {
          await new Promise((resolve) => setImmediate(resolve))
          now = renewed
          await new Promise((resolve) => setImmediate(resolve))
        },
      },
      changing,
    )
    await ask(server, 'c', { ...signed, authenticate: () => {} })
    await Promise.all(Array.from({ length: 5 }, () => ask(server, 'c', signed)))
    expect(shown).toEqual([owner.x509.fingerprint256, ...Array(5).fill(renewed.x509.fingerprint256)])
  })

  it('in what leads to a root alone gets connections of its own', () => {
    let chain = ''
    const { tls } = withCertificate(
      { identify: () => '', authenticate: () => {} },
      {
        certificate: new Secret(() => `${owner.certificate}${chain}`),
        private_key: new Secret(() => owner.privateKey),
      },
    )
    const server = connectToEndpoint(1)
    const first = server.httpWith(tls)
    expect(server.httpWith(tls)).toBe(first)
    chain = testAuthority
    expect(server.httpWith(tls)).not.toBe(first)
  })
})

describe('a server that finds fault with the certificate in TLS', () => {
  /** Ends each handshake with a fatal alert. */
  async function startAlerting(alert: number) {
    const listening = await listen(
      createTcpServer((socket) => socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert])))),
    )
    onTestFinished(listening.stop)
    return connectToEndpoint(listening.port)
  }
  const alerts: Record<string, number> = {
    handshake_failure: 40,
    bad_certificate: 42,
    unsupported_certificate: 43,
    certificate_revoked: 44,
    certificate_expired: 45,
    certificate_unknown: 46,
    unknown_ca: 48,
    access_denied: 49,
    certificate_required: 116,
  }

  for (const [name, alert] of Object.entries(alerts)) {
    it(`by ${name}: it is the client that is refused`, async () => {
      const server = await startAlerting(alert)
      await expect(ask(server, 'c', credentialOf(byCertificate))).rejects.toMatchObject({
        code: 'authorization_server_refused',
        ofClient: true,
        message: expect.stringContaining(`ALERT_${name.toUpperCase()}`),
      })
    })
  }

  it('by what is no matter of certificates: it is an outage', async () => {
    const server = await startAlerting(80)
    await expect(ask(server, 'c', credentialOf(byCertificate))).rejects.toMatchObject({
      code: 'authorization_server_unavailable',
      fault: 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
    })
  })

  it('where none was presented: it is an outage', async () => {
    const server = await startAlerting(alerts.bad_certificate ?? 0)
    await expect(ask(server, 'c', credentialOf({ client_secret: secret }))).rejects.toMatchObject({
      code: 'authorization_server_unavailable',
    })
  })
})
