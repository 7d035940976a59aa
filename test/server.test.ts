import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog } from '../src/base/log.ts'
import { parseConfig } from '../src/config/load.ts'
import { type RunningServer, serve } from '../src/server.ts'
import { createTestLog, type TestLog } from './harness/logs.ts'
import { ask, sendRaw } from './harness/raw-client.ts'
import { createSecret } from './harness/secrets.ts'
import { startUpstream, type Upstream } from './harness/upstream.ts'

let upstream: Upstream
let log: TestLog
let running: RunningServer | undefined

beforeEach(async () => {
  upstream = await startUpstream()
  log = createTestLog()
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  await upstream.stop()
})

async function start(more = ''): Promise<RunningServer> {
  const yaml = `
listeners:
  one: { address: "127.0.0.1:0" }
  two: { address: "127.0.0.1:0", limits: { connections: 1, header_size: 1KiB, target_length: 1KiB } }
admin: { address: "127.0.0.1:0" }
${more}
routes:
  - { listener: one, path: /one, public: true, upstream: "${upstream.url}" }
  - { listener: two, path: /two, public: true, upstream: "${upstream.url}" }
`
  const env = { PASSWORD: createSecret(), KEY: randomBytes(32).toString('base64') }
  running = await serve(parseConfig(yaml, { file: 'test.yaml', env }), { log: createLog(log) })
  return running
}

function portOf(server: RunningServer, name: string): number {
  return server.addresses.get(name)?.port ?? expect.unreachable(`there is no listener ${name}`)
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const statusOf = async (port: number, path: string) => (await ask(port, get(path))).status
const openTimers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

/** Lets the upstream hold back its answers; the function that it gives back lets them go. */
function hold(): () => void {
  const released = Promise.withResolvers<void>()
  upstream.answer(async (_request, response) => {
    await released.promise
    response.end('late')
  })
  return released.resolve
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}

describe('a server', () => {
  it('shows the metrics of its gateway and of the process at its admin listener', async () => {
    const server = await start()
    await statusOf(portOf(server, 'one'), '/one')
    const { status, body } = await ask(portOf(server, 'admin'), get('/metrics'))
    expect(status).toBe(200)
    expect(body).toMatch(/^scopegate_requests_total\{listener="one",route="[^"]*\/one",status="200",code="ok"\} 1$/m)
    expect(body).toMatch(/^process_resident_memory_bytes \d+$/m)
    const names = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  it('opens all of its listeners, each with its own routes and limits, and says where', async () => {
    const server = await start()
    expect([...server.addresses.keys()]).toEqual(['one', 'two', 'admin'])
    expect(await statusOf(portOf(server, 'one'), '/one')).toBe(200)
    expect(await statusOf(portOf(server, 'one'), '/two')).toBe(404)
    expect(await statusOf(portOf(server, 'two'), '/two')).toBe(200)
    expect(await statusOf(portOf(server, 'admin'), '/readyz')).toBe(200)
    expect(log.find({ msg: 'listening' }).map(({ listener, address, port }) => [listener, address, port])).toEqual(
      ['one', 'two', 'admin'].map((name) => [name, '127.0.0.1', portOf(server, name)]),
    )
    expect(log.find({ msg: 'ready' })).toMatchObject([
      { file: 'test.yaml', hash: expect.stringMatching(/^[0-9a-f]{16}$/), routes: 2 },
    ])
  })

  it('is attached: what Node would answer by itself is answered as everything else', async () => {
    const server = await start()
    const held = connect(portOf(server, 'two'), '127.0.0.1')
    await sleep(50)
    const answer = await ask(portOf(server, 'two'), get('/two'))
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'too_many_connections'])
    held.destroy()
  })

  it('takes as many headers as a listener says, and no more', async () => {
    const server = await start()
    const large = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Large: ${'a'.repeat(4096)}\r\n\r\n`
    expect((await ask(portOf(server, 'one'), large('/one'))).status).toBe(200)
    expect((await ask(portOf(server, 'two'), large('/two'))).status).toBe(431)
  })

  it('logs what its configuration warns of', async () => {
    await start(
      'token_cache: { redis: { url: "redis://192.0.2.1:1", password: "${env:PASSWORD}", encryption_keys: ["${env:KEY}"] } }',
    )
    expect(log.find({ msg: 'configuration warning' })).toMatchObject([
      { level: 'warn', at: expect.stringMatching(/^test\.yaml:\d+:\d+: token_cache\.redis: is reached without TLS/) },
    ])
  })
})

describe('a server that stops', () => {
  it('waits for what is on its way, tells its load balancer, and takes nothing new', async () => {
    const timers = openTimers()
    const server = await start()
    const release = hold()
    const kept = connect(portOf(server, 'one'), '127.0.0.1')
    kept.on('error', () => {})
    kept.write(get('/one'))
    await until(() => upstream.requests.length === 1)
    const stopping = server.stop()
    expect(server.stop()).toBe(stopping)
    const ready = await ask(portOf(server, 'admin'), get('/readyz'))
    expect([ready.status, JSON.parse(ready.body)]).toEqual([503, { status: 'stopping' }])
    await expect(sendRaw(portOf(server, 'one'), get('/one'))).rejects.toThrow('ECONNREFUSED')
    release()
    expect(await stopping).toBe(0)
    await expect(sendRaw(portOf(server, 'admin'), get('/readyz'))).rejects.toThrow('ECONNREFUSED')
    expect(log.find({ msg: 'stopping' })).toMatchObject([{ grace_ms: 30_000 }])
    expect(log.find({ msg: 'stopped' })).toMatchObject([{ cut_off: 0 }])
    await sleep(20)
    expect(openTimers()).toBeLessThanOrEqual(timers)
  })

  it('refuses what still comes on a connection that was busy', async () => {
    const server = await start()
    const release = hold()
    const received = sendRaw(portOf(server, 'one'), get('/one') + get('/one'), {
      until: (text) => text.includes('"stopping"'),
    })
    await until(() => upstream.requests.length === 1)
    const stopping = server.stop()
    release()
    expect(await received).toMatch(/^HTTP\/1\.1 200 .*HTTP\/1\.1 503 /s)
    expect(await stopping).toBe(0)
    expect(upstream.requests.length).toBe(1)
  })

  it('does not wait for connections that never had a request, nor for idle ones', async () => {
    const server = await start('shutdown_grace: 20s')
    const silent = connect(portOf(server, 'one'), '127.0.0.1')
    const idle = connect(portOf(server, 'one'), '127.0.0.1')
    const asking = connect(portOf(server, 'admin'), '127.0.0.1')
    const asked = new Promise((resolve) => asking.once('close', resolve))
    for (const socket of [silent, idle, asking]) socket.on('error', () => {})
    asking.write('GET /readyz HTTP/1.1\r\n')
    idle.write(get('/one'))
    await new Promise((resolve) => idle.once('data', resolve))
    const started = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - started).toBeLessThan(3000)
    await asked
    for (const socket of [silent, idle]) socket.destroy()
  })

  it('cuts off what takes longer than the grace, and counts it', async () => {
    const server = await start('shutdown_grace: 100ms')
    expect(await statusOf(portOf(server, 'one'), '/one')).toBe(200)
    const release = hold()
    const cut = [1, 2].map(() => sendRaw(portOf(server, 'one'), get('/one')))
    await until(() => upstream.requests.length === 3)
    expect(await server.stop()).toBe(2)
    expect(await Promise.all(cut)).toEqual(['', ''])
    expect(log.entries().slice(-3)).toMatchObject([
      { msg: 'request', code: 'caller_gone' },
      { msg: 'request', code: 'caller_gone' },
      { msg: 'stopped', cut_off: 2 },
    ])
    release()
  })
})
