import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { createTlsServer } from '../harness/mutual-tls.ts'
import { ask } from '../harness/raw-client.ts'
import { createSecret } from '../harness/secrets.ts'
import { until } from '../proxy/proxy-server.ts'

interface Seen {
  /** The certificate that was presented on the connection. */
  readonly presented: string | undefined
  /** The one that the token is bound to. */
  readonly bound: unknown
}

const [client, renewed] = [testCertificate('client'), testCertificate('client-renewed')]
const secret = createSecret()
const seen: Seen[] = []
let folder: string
let sso: AuthorizationServer
let upstream: Listening
let gateway: RunningGateway

const thumbprintOf = (fingerprint: string | undefined) =>
  fingerprint && Buffer.from(fingerprint.replaceAll(':', ''), 'hex').toString('base64url')

const write = ({ certificate, privateKey }: typeof client) => {
  writeFileSync(join(folder, 'client.pem'), certificate)
  writeFileSync(join(folder, 'client.key'), privateKey)
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-bound-'))
  write(client)
  sso = await startAuthorizationServer({
    tls: {},
    clients: [
      { client_id: 'bound', client_secret: secret, tls_client_certificate_bound_access_tokens: true },
      { client_id: 'free', client_secret: secret },
    ],
  })
  const server = createTlsServer((request, response) => {
    const confirmation = decodeJwt(request.headers.authorization?.split(' ')[1] ?? '').cnf
    const certificate = (request.socket as TLSSocket).getPeerX509Certificate()
    seen.push({ presented: thumbprintOf(certificate?.fingerprint256), bound: Object(confirmation)['x5t#S256'] })
    request.resume().on('end', () => response.end('ok'))
  }, true)
  upstream = await listen(server)
  const url = `https://127.0.0.1:${upstream.port}`
  gateway = await startGateway(
    `
authorization_servers: { sso: { issuer: "${sso.issuer}", tls: { ca: "\${env:CA}" } } }
clients:
  bound:
    authorization_server: sso
    client_id: bound
    client_secret: "\${env:SECRET}"
    tls_client_certificate_bound_access_tokens: true
    tls: { certificate: "\${file:${folder}/client.pem}", private_key: "\${file:${folder}/client.key}" }
  free: { authorization_server: sso, client_id: free, client_secret: "\${env:SECRET}" }
routes:
  - path: /bound
    callers: { networks: [loopback] }
    token: { client: bound }
    upstream: { url: "${url}", tls: { ca: "\${env:CA}" } }
  - path: /free
    callers: { networks: [loopback] }
    token: { client: free }
    upstream: { url: "${url}", tls: { ca: "\${env:CA}" } }
  - path: /by-hand
    callers: { networks: [loopback] }
    token: { client: free }
    upstream: { url: "${url}", tls: { ca: "\${env:CA}", certificate: "\${env:CERTIFICATE}", private_key: "\${env:KEY}" } }
`,
    { env: { SECRET: secret, CA: testAuthority, CERTIFICATE: client.certificate, KEY: client.privateKey } },
  )
})
afterAll(async () => {
  await Promise.all([gateway.stop(), sso.stop(), upstream.stop()])
  rmSync(folder, { recursive: true })
})

async function get(path: string): Promise<Seen | undefined> {
  expect((await ask(gateway.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).status).toBe(200)
  return seen.at(-1)
}

it('a certificate-bound token goes to the upstream over the certificate that it is bound to', async () => {
  expect(await get('/bound')).toEqual({ presented: client.thumbprint, bound: client.thumbprint })
})

it('another client shows no certificate to the same upstream', async () => {
  expect(await get('/free')).toEqual({ presented: undefined, bound: undefined })
})

it("an upstream gets the certificate that its route's configuration names", async () => {
  expect(await get('/by-hand')).toEqual({ presented: client.thumbprint, bound: undefined })
})

it('a renewed certificate and a token that is bound to it are used together, all but for the request between them', async () => {
  await get('/bound')
  const before = sso.requestsTo('token').length
  write(renewed)
  let latest: Seen | undefined
  const all: (Seen | undefined)[] = []
  for (const end = performance.now() + 5000; latest?.bound !== renewed.thumbprint && performance.now() < end; ) {
    latest = await get('/bound')
    all.push(latest)
  }
  expect(latest).toEqual({ presented: renewed.thumbprint, bound: renewed.thumbprint })
  expect(all.filter((one) => one?.presented !== one?.bound).length).toBeLessThanOrEqual(1)
  await until(() => sso.requestsTo('token').length === before + 1)
})
