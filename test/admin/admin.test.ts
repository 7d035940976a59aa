import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAdmin } from '../../src/admin/admin.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { ask } from '../harness/raw-client.ts'

let reason: string | undefined
let admin: Listening

beforeAll(async () => {
  admin = await listen(
    createServer(createAdmin({ notReady: () => reason, metrics: async () => '# TYPE a counter\na 1\n' })),
  )
})
afterAll(() => admin.stop())

async function asked(head: string): Promise<[status: number, body: unknown]> {
  const { status, body } = await ask(admin.port, `${head} HTTP/1.1\r\nHost: a\r\n\r\n`)
  return [status, JSON.parse(body)]
}

describe('the admin listener', () => {
  it('says that the process lives, ready or not', async () => {
    for (reason of [undefined, 'starting']) expect(await asked('GET /healthz')).toEqual([200, { status: 'ok' }])
  })

  it('says whether requests should be sent here, and if not, why', async () => {
    for (reason of ['starting', 'stopping']) expect(await asked('GET /readyz')).toEqual([503, { status: reason }])
    reason = undefined
    expect(await asked('GET /readyz')).toEqual([200, { status: 'ready' }])
  })

  it('shows the metrics in the format of Prometheus', async () => {
    const { status, headers, body } = await ask(admin.port, 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n')
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
    expect(body).toBe('# TYPE a counter\na 1\n')
  })

  it('has nothing else to say', async () => {
    const nothing = [404, { status: 'not found', paths: ['/healthz', '/readyz', '/metrics'] }]
    for (const head of ['GET /', 'GET /healthz/more', 'POST /healthz', 'DELETE /readyz', 'GET /..%2f..%2fetc'])
      expect(await asked(head)).toEqual(nothing)
  })

  it.each(['/healthz', '/readyz', '/metrics', '/other'])('has no answer kept by anybody: %s', async (path) => {
    const { headers } = await ask(admin.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers).not.toHaveProperty('etag')
    expect(headers).not.toHaveProperty('x-powered-by')
  })

  it('answers HEAD, as load balancers ask', async () => {
    const answer = await ask(admin.port, 'HEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n', { head: true })
    expect(answer.status).toBe(200)
  })
})
