import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningProgram, runProgram, startProgram } from '../harness/process.ts'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let folder: string
let upstream: Upstream
const running: RunningProgram[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-serve-'))
  upstream = await startUpstream()
})
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})
afterAll(async () => {
  await upstream.stop()
  rmSync(folder, { recursive: true })
})

function file(text: string): string {
  const path = join(folder, `${Math.random()}.yaml`)
  writeFileSync(path, text)
  return path
}

const yaml = (more = '') => `
listeners:
  main: { address: "127.0.0.1:0" }
admin: { address: "127.0.0.1:0" }
${more}
routes:
  - { path: /**, public: true, upstream: "${upstream.url}" }
`

function serve(text: string): RunningProgram {
  const program = startProgram(['serve', '--config', file(text)])
  running.push(program)
  return program
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** Lets the upstream hold its answer back until told. */
function holdAnswers(): { arrived: Promise<void>; release(): void } {
  const arrived = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  upstream.answer(async (_request, response) => {
    arrived.resolve()
    await released.promise
    response.end('held back')
  })
  return { arrived: arrived.promise, release: released.resolve }
}

describe('scopegate serve', () => {
  it('says where each listener accepts, and forwards there', async () => {
    const program = serve(yaml())
    expect(await program.line({ msg: 'listening', listener: 'main' })).toMatchObject({
      address: '127.0.0.1',
      port: expect.any(Number),
    })
    upstream.answer((_request, response) => response.end('hello'))
    const answer = await ask(await program.port('main'), get('/x?secret=1'))
    expect([answer.status, answer.body]).toEqual([200, 'hello'])
    const line = await program.line({ msg: 'request' })
    expect(line).toMatchObject({
      listener: 'main',
      route: '/**',
      method: 'GET',
      path: '/x',
      status: 200,
      code: 'ok',
      upstream_status: 200,
      address: '127.0.0.1',
    })
    expect([typeof line.ms, typeof line.request_id]).toEqual(['number', 'string'])
  })

  it('answers for its health on the admin listener', async () => {
    const program = serve(yaml())
    const admin = `http://127.0.0.1:${await program.port('admin')}`
    await program.line({ msg: 'ready' })
    expect(await (await fetch(`${admin}/healthz`)).json()).toEqual({ status: 'ok' })
    expect(await (await fetch(`${admin}/readyz`)).json()).toEqual({ status: 'ready' })
    const other = await fetch(`${admin}/etc/passwd`)
    expect([other.status, other.headers.get('x-powered-by')]).toEqual([404, null])
  })

  it('ends with 1 and the lines of check when the configuration cannot be served', async () => {
    const path = file('listeners: { main: { address: "127.0.0.1:0" } }\nroutes: []\n')
    const [served, checked] = [
      await runProgram(['serve', '--config', path]),
      await runProgram(['check', '--config', path]),
    ]
    expect(served).toEqual(checked)
    expect([served.exitCode, served.stderr]).toEqual([
      1,
      `${path}:2:9: routes: is an empty list: without a route nothing can be served\n`,
    ])
  })

  it('starts nothing at all when one of its ports is taken', async () => {
    const text = `
listeners:
  one: { address: "127.0.0.1:0" }
  two: { address: "127.0.0.1:${upstream.port}" }
routes: [{ path: /, listener: one, public: true, upstream: "${upstream.url}" }]
`
    const { exitCode, stdout, stderr } = await runProgram(['serve', '--config', file(text)])
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toBe(`scopegate: the listener two cannot be opened on 127.0.0.1:${upstream.port} (EADDRINUSE)\n`)
  })
})

describe('SIGTERM', () => {
  it('lets what is in flight finish, takes nothing new, and leaves with 0', async () => {
    const { arrived, release } = holdAnswers()
    const program = serve(yaml())
    const port = await program.port('main')
    const admin = await program.port('admin')
    const inFlight = sendRaw(port, get('/slow'))
    await arrived
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopping' })
    expect((await fetch(`http://127.0.0.1:${admin}/readyz`)).status).toBe(503)
    await expect(sendRaw(port, get('/new'))).rejects.toThrow('ECONNREFUSED')
    release()
    expect(await inFlight).toMatch(/^HTTP\/1\.1 200 .*held back/s)
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 0 })
  })

  it('cuts off what does not finish within the grace', async () => {
    const { arrived, release } = holdAnswers()
    const program = serve(yaml('shutdown_grace: 100ms'))
    const inFlight = sendRaw(await program.port('main'), get('/slow'))
    await arrived
    program.child.kill('SIGTERM')
    expect(await inFlight).toBe('')
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().slice(-2)).toMatchObject([
      { msg: 'request', code: 'caller_gone' },
      { msg: 'stopped', cut_off: 1 },
    ])
    release()
  })

  it('ends idle connections at once', async () => {
    upstream.answer((_request, response) => response.end('hello'))
    const program = serve(yaml())
    const socket = connect(await program.port('main'), '127.0.0.1')
    socket.write(get('/'))
    await once(socket, 'data')
    const started = performance.now()
    await sleep(50)
    program.child.kill('SIGTERM')
    await once(socket, 'close')
    expect((await program.ended).exitCode).toBe(0)
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('ends the process also when nobody reads its log any more', async () => {
    const program = serve(yaml())
    await program.line({ msg: 'ready' })
    program.child.stdout?.destroy()
    program.child.kill('SIGTERM')
    expect((await program.ended).exitCode).toBe(0)
  })

  it('does not wait for a caller that keeps its connection, nor for one that never said a word', async () => {
    const { arrived, release } = holdAnswers()
    const program = serve(yaml())
    const port = await program.port('main')
    const silent = connect(port, '127.0.0.1')
    const kept = connect(port, '127.0.0.1')
    kept.write(get('/slow'))
    await arrived
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopping' })
    release()
    await once(kept, 'data')
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 0 })
    const [stopping, stopped] = ['stopping', 'stopped'].map((msg) =>
      Date.parse(String(program.lines().find((line) => line.msg === msg)?.time)),
    )
    expect(Number(stopped) - Number(stopping)).toBeLessThan(15_000)
    silent.destroy()
    kept.destroy()
  })

  it('a second one ends the process at once', async () => {
    const { arrived, release } = holdAnswers()
    const program = serve(yaml())
    const inFlight = sendRaw(await program.port('main'), get('/slow'))
    await arrived
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopping' })
    program.child.kill('SIGTERM')
    expect((await program.ended).exitCode).toBe(1)
    await inFlight
    release()
  })
})
