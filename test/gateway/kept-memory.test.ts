import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, expect, test } from 'vitest'
import { startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { parseAnswer } from '../harness/raw-client.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const upstream = await listen(createServer((request, response) => request.resume().on('end', () => response.end('ok'))))
const url = `http://127.0.0.1:${upstream.port}`
const gateway = await startGateway(`
routes:
  - { path: /answered/**, public: true, upstream: "${url}" }
  - { path: /dead/**, public: true, upstream: "http://127.0.0.1:1" }
  - { path: /refused/**, require: any_token, upstream: "${url}" }
authorization_servers: { sso: { issuer: "http://127.0.0.1:1", access_tokens: { audience: a } } }
`)
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

const weight = 4096

/** Bytes in use once so many requests have been answered, one after the other on a connection that goes on. */
async function afterRequests(socket: ReturnType<typeof connect>, request: string, count: number): Promise<number> {
  for (let turn = 0; turn < count; turn++) {
    socket.write(request)
    let received = ''
    while (!parseAnswer(received)) received += String((await once(socket, 'data'))[0])
  }
  collect()
  await new Promise((resolve) => setTimeout(resolve, 20))
  collect()
  return process.memoryUsage().heapUsed
}

test.each([
  ['POST', '/answered/1', 'content-length: 2\r\n\r\nok'],
  ['GET', '/answered/1', '\r\n'],
  ['GET', '/dead/1', '\r\n'],
  ['GET', '/refused/1', '\r\n'],
  ['GET', '/nowhere', '\r\n'],
])('%s %s on one connection leaves nothing of a request that was answered', async (method, path, rest) => {
  const socket = connect(gateway.port, '127.0.0.1')
  const request = `${method} ${path} HTTP/1.1\r\nhost: x\r\nx-weight: ${'w'.repeat(weight)}\r\n${rest}`
  const before = await afterRequests(socket, request, 200)
  const after = await afterRequests(socket, request, 1200)
  socket.destroy()
  expect(after - before).toBeLessThan(1000 * weight)
})
