import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { clientOptions } from '../../src/egress/client.ts'
import { createMemoryTokenCache } from '../../src/egress/token-cache/memory.ts'
import { createTokenRequest, type TokenRequest } from '../../src/egress/token-request.ts'
import { createServer, failureOf } from '../authorization-server/asking.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { createSecret } from '../harness/secrets.ts'
import { type Bench, startBench } from './bench.ts'

/**
 * A server that takes no connection without a good certificate. In TLS 1.3 it says so after the client has taken the
 * connection for good, so that all the client sees is a connection that breaks off.
 */
let listening: Listening
let bench: Bench
let handshakes = 0
let broken = false
beforeEach(async () => {
  handshakes = 0
  broken = false
  const { certificate, privateKey } = testCertificate('server')
  const tls = { cert: certificate, key: privateKey, ca: testAuthority, requestCert: true, rejectUnauthorized: true }
  const server = createHttpsServer(tls, (request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ access_token: createSecret(), token_type: 'Bearer', expires_in: 300 }))
  })
  server.on('connection', (socket) => {
    handshakes += 1
    if (broken) socket.destroy()
  })
  listening = await listen(server)
  bench = await startBench()
})
afterEach(() => Promise.all([listening.stop(), bench.stop()]))

const cache = createMemoryTokenCache()
function requestOf(owner: Parameters<typeof testCertificate>[0], scope: string): TokenRequest {
  const { certificate, privateKey } = testCertificate(owner)
  const server = createServer({
    token_endpoint: `https://127.0.0.1:${listening.port}/token`,
    tls: { ca: testAuthority },
  })
  const client = clientOptions.parse({
    authorization_server: 'sso',
    client_id: owner,
    token_endpoint_auth_method: 'tls_client_auth',
    tls: { certificate, private_key: privateKey },
  })
  return createTokenRequest({ name: owner, client, server, token: { scopes: [scope] }, cache })
}

const get = async (request: TokenRequest) => (await bench.source.get(request)).source

it('a client whose certificate is refused shuts nobody else out, and is left alone itself', async () => {
  const failure = await failureOf(get(requestOf('self-signed', 'a')))
  expect([502, 503]).toContain(failure.status)
  expect(await get(requestOf('client', 'a'))).toBe('fetched')
  const before = handshakes
  await failureOf(get(requestOf('self-signed', 'b')))
  expect(handshakes).toBe(before)
  await bench.clock.advance(1000)
  await failureOf(get(requestOf('self-signed', 'b')))
  expect(handshakes).toBe(before + 1)
  expect(await get(requestOf('client', 'b'))).toBe('fetched')
})

it('a client that registers itself, and whose certificate is refused, is not registered anew for that', async () => {
  await listening.stop()
  const badCertificate = Buffer.from([21, 3, 3, 0, 2, 2, 42])
  listening = await listen(createTcpServer((socket) => socket.once('data', () => socket.end(badCertificate))))
  let renewals = 0
  const renewRegistration = async () => {
    renewals += 1
  }
  const failure = await failureOf(get({ ...requestOf('self-signed', 'a'), renewRegistration }))
  expect([failure.code, renewals]).toEqual(['authorization_server_refused', 0])
})

it('a server that breaks off whoever comes is down for all, after the second of them', async () => {
  broken = true
  await failureOf(get(requestOf('client', 'a')))
  await failureOf(get(requestOf('client-renewed', 'a')))
  const before = handshakes
  expect((await failureOf(get(requestOf('self-signed', 'a')))).options.retryAfterSeconds).toBe(1)
  expect(handshakes).toBe(before)
})
