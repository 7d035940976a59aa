/**
 * The attack: an upstream that is broken, or taken over, or simply behind the clock answers every request with 401; or a
 * caller has found a request that it always answers so. A gateway that asks for another token each time sends its
 * authorization server as many token requests as it gets requests itself: its client is throttled or locked, and then all
 * its routes are without tokens. Or the attacker sends many bodies that are kept for another sending, until the memory is
 * full of them.
 */
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream } from '../harness/upstream.ts'
import { createKeeper } from '../proxy/keep.ts'
import { until } from '../proxy/proxy-server.ts'

const { keep, proxyTo } = createKeeper()
const mebibyte = 1024 * 1024
const megabytePost = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${mebibyte}\r\n\r\n`

describe('an upstream that refuses every token', () => {
  test('causes no more than one token request in 10 seconds, however many requests come in', async () => {
    const clock = createTestClock(Date.now())
    const sso = await keep(startAuthorizationServer())
    const upstream = await keep(startUpstream((_, response) => response.writeHead(401).end()))
    const routes = ['/a/**', '/b/**'].map(
      (path) =>
        `  - { path: ${path}, callers: { networks: [loopback] }, token: { client: batch }, upstream: "${upstream.url}" }`,
    )
    const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients: { batch: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
routes:
${routes.join('\n')}`
    const gateway = await keep(startGateway(yaml, { clock, env: { SECRET: sso.client.client_secret } }))
    const statuses = new Set<number>()
    for (let second = 0; second < 60; second++) {
      const requests = ['/a/1', '/b/1', '/a/2', '/b/2'].map((path) =>
        ask(gateway.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      )
      for (const { status } of await Promise.all(requests)) statuses.add(status)
      // A token that has just come is not replaced: it is not because of its age that it is refused.
      if (second === 9) expect(sso.requestsTo('token')).toHaveLength(1)
      await clock.advance(1000)
    }
    expect(statuses).toEqual(new Set([502]))
    expect(sso.requestsTo('token').length).toBeLessThanOrEqual(7)
    expect(sso.requestsTo('token').length).toBeGreaterThan(1)
    // No request goes out more than twice.
    expect(upstream.requests.length).toBeLessThanOrEqual(240 + sso.requestsTo('token').length * 4)
  })
})

describe('bodies that are kept', () => {
  test('are never more than 32 MiB in the whole process; the others stream and are answered 502', async () => {
    const refuse: (() => void)[] = []
    const upstream = await keep(
      startUpstream((request, response, seen) => {
        request.resume().on('end', () => {
          if (seen.headers.authorization) response.end('welcome')
          else refuse.push(() => response.writeHead(401).end())
          if (refuse.length === 40) for (const each of refuse.splice(0)) each()
        })
      }),
    )
    const forward = { reauthorize: async () => ({ headers: { host: 'x', authorization: 'Bearer fresh' } }) }
    const proxies = await Promise.all(
      [1, 2].map(() => proxyTo({ url: upstream.url, replay_body: '1MiB' }, { forward })),
    )
    const body = 'x'.repeat(mebibyte)
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => ask(proxies[index % 2]?.port ?? 0, megabytePost + body)),
    )
    const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length
    expect([count(200), count(502)]).toEqual([32, 8])
  })

  test('do not stop anybody when their room is taken by callers who never send them', async () => {
    const upstream = await keep(startUpstream())
    const forward = { reauthorize: async () => undefined }
    const proxy = await proxyTo({ url: upstream.url, replay_body: '1MiB' }, { forward })
    const idlers = Array.from({ length: 40 }, () =>
      connect(proxy.port, '127.0.0.1', function (this: Socket) {
        this.write(`${megabytePost}x`)
      }),
    )
    // Those that find no room are streamed, and so show that there is none left.
    await until(() => upstream.requests.length === 8)
    expect((await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok')).status).toBe(200)
    for (const socket of idlers) socket.destroy()
    await until(() => proxy.results.length === 41)
  })
})
