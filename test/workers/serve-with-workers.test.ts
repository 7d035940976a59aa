import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { get, getAtOnce, startLoad } from '../faults/load.ts'
import { type RunningProgram, runProgram, startProgram } from '../harness/process.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'
import { createCrewKeeper, lives } from './crew.ts'

// Many processes start here, each at its own pace.
vi.setConfig({ testTimeout: 60_000 })
const patient = { timeout: 30_000 }
const { start } = createCrewKeeper()
let upstream: Upstream
let folder: string
const started: RunningProgram[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-primary-'))
  upstream = await startUpstream()
})
beforeEach(() => upstream.answer((_request, response) => response.end('hello')))
afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL')
    await ended
  }
})
afterAll(async () => {
  await upstream.stop()
  rmSync(folder, { recursive: true })
})

const routes = (more = '') => `${more}\nroutes: [{ path: /**, public: true, upstream: "${upstream.url}" }]\n`

function file(text: string): string {
  const path = join(folder, `${Math.random()}.yaml`)
  writeFileSync(path, text)
  return path
}

/** Lets the upstream hold its answers back until told. */
function holdAnswers(): { arrived(): number; release(): void } {
  const released = Promise.withResolvers<void>()
  let count = 0
  upstream.answer(async (_request, response) => {
    count++
    await released.promise
    response.end('held back')
  })
  return { arrived: () => count, release: released.resolve }
}

const statuses = (answers: readonly { readonly status: number }[]) => [...new Set(answers.map(({ status }) => status))]

describe('scopegate serve --workers', () => {
  it('says once where it accepts and that it is ready, and every worker takes requests there', async () => {
    const { program, port, workers } = await start(routes(), 3)
    expect(
      workers()
        .map(({ worker }) => worker)
        .sort(),
    ).toEqual([1, 2, 3])
    for (const members of [{ listener: 'main' }, { listener: 'admin' }, { msg: 'ready' }])
      expect(
        program.lines().filter((line) => Object.entries(members).every(([name, to]) => line[name] === to)),
      ).toHaveLength(1)
    const served = async () => {
      expect(statuses(await getAtOnce(30, { port, path: '/' }))).toEqual([200])
      return new Set(program.lines().flatMap(({ msg, worker }) => (msg === 'request' ? [worker] : []))).size
    }
    await expect.poll(served, patient).toBe(3)
  })

  it('auto takes as many as there are cores, and one worker is no other process', async () => {
    const path = file(`listeners: { main: { address: "127.0.0.1:0" } }${routes()}`)
    for (const [wish, count] of [
      ['auto', availableParallelism()],
      ['1', 1],
    ] as const) {
      const program = startProgram(['serve', '--config', path, '--workers', wish])
      started.push(program)
      await program.line({ msg: 'ready' })
      const workers = program.lines().filter(({ msg }) => msg === 'worker started').length
      expect(workers).toBe(count === 1 ? 0 : count)
    }
  })

  it.each(['0', '-1', '2.5', 'many', '1000'])('refuses %s', async (wish) => {
    const { exitCode, stderr } = await runProgram(['serve', `--workers=${wish}`])
    expect([exitCode, stderr.split('\n')[0]]).toEqual([
      1,
      `error: option '-w, --workers <number>' argument '${wish}' is invalid. It must be a number from 1 to 256, or auto.`,
    ])
  })

  it('tells the faults of a configuration once, as check does', async () => {
    const path = file('listeners: { main: { address: "127.0.0.1:0" } }\nroutes: []\n')
    const served = await runProgram(['serve', '--workers', '4', '--config', path])
    expect(served).toEqual(await runProgram(['check', '--config', path]))
    expect(served.exitCode).toBe(1)
  })

  it.each([
    ['a listener', (taken: number) => `listeners: { main: { address: "127.0.0.1:${taken}" } }`, 'main'],
    [
      'the admin listener',
      (taken: number) => `listeners: { main: { address: "127.0.0.1:0" } }\nadmin: { address: "127.0.0.1:${taken}" }`,
      'admin',
    ],
  ])('ends with 1 and one line when the port of %s is taken', async (_which, listeners, name) => {
    const path = file(`${listeners(upstream.port)}${routes()}`)
    const { exitCode, stdout, stderr } = await runProgram(['serve', '--workers', '4', '--config', path])
    expect([exitCode, stderr]).toEqual([
      1,
      `scopegate: the listener ${name} cannot be opened on 127.0.0.1:${upstream.port} (EADDRINUSE)\n`,
    ])
    expect(stdout).not.toContain('"ready"')
  })

  it('tells a warning once', async () => {
    const sso = 'authorization_servers: { sso: { issuer: "https://sso.example.com" } }'
    const client = 'clients: { c: { authorization_server: sso, client_id: c, client_secret: in-the-open } }'
    const token = '{ path: /t, callers: { networks: [loopback] }, token: { client: c }, upstream: "https://a" }'
    const { program } = await start(`${sso}\n${client}\nroutes: [${token}]\n`, 3)
    expect(program.lines().filter(({ msg }) => msg === 'configuration warning')).toHaveLength(1)
  })
})

describe('a worker', () => {
  it('that is killed under load takes its own requests with it and no others, and another one takes its place', async () => {
    const { program, port, workers, admin } = await start(routes(), 4)
    upstream.answer((_request, response) => void setTimeout(() => response.end('hello'), 5))
    const load = startLoad({ ports: [port], paths: ['/'], perSecond: 300 })
    await pause(1000)
    const victim = workers()[0] ?? expect.unreachable('there is no worker')
    process.kill(victim.pid, 'SIGKILL')
    expect(await program.line({ msg: 'worker ended' })).toMatchObject({ ...victim, signal: 'SIGKILL', level: 'warn' })
    expect((await fetch(`http://127.0.0.1:${await program.port('admin')}/readyz`)).status).toBe(200)
    await expect.poll(() => workers().length, patient).toBe(4)
    await pause(500)
    const { answers, failed } = await load.stop()
    expect(answers.length).toBeGreaterThan(400)
    expect(statuses(failed).filter((status) => status !== 0)).toEqual([])
    // It had a quarter of what was in flight, which on a busy machine is that of some tenths of a second.
    expect(failed.length).toBeLessThanOrEqual(50)
    expect(workers().some(({ pid }) => pid === victim.pid)).toBe(false)
    expect(await admin('/metrics')).toMatch(/^scopegate_workers_ended_total 1$/m)
  })

  it('that hangs, and is killed, has no connection with it that it did not accept', async () => {
    const { port, workers } = await start(routes(), 3)
    const { pid } = workers()[0] ?? expect.unreachable('there is no worker')
    process.kill(pid, 'SIGSTOP')
    const answers = getAtOnce(60, { port, path: '/' })
    await pause(500)
    process.kill(pid, 'SIGKILL')
    expect(statuses(await answers)).toEqual([200])
  })

  it('that is told to end by itself finishes what it has, loses nothing, and another one takes its place', async () => {
    const { program, port, workers } = await start(routes(), 2)
    const { arrived, release } = holdAnswers()
    const inFlight = getAtOnce(40, { port, path: '/' })
    await expect.poll(arrived, patient).toBe(40)
    const one = workers()[0] ?? expect.unreachable('there is no worker')
    process.kill(one.pid, 'SIGTERM')
    await pause(200)
    release()
    expect(statuses(await inFlight)).toEqual([200])
    expect(await program.line({ msg: 'worker ended' })).toMatchObject({ ...one, code: 0, cut_off: 0 })
    expect(statuses(await getAtOnce(40, { port, path: '/' }))).toEqual([200])
    await expect.poll(() => workers().length, patient).toBe(2)
  })

  it('that ends again and again is started less and less often, and nothing is ready meanwhile without one', async () => {
    const { program, workers } = await start(routes(), 2)
    const killAll = () => workers().forEach(({ pid }) => void (lives(pid) && process.kill(pid, 'SIGKILL')))
    const waits = () =>
      program
        .lines()
        .flatMap(({ msg, worker, restart_in_ms: wait }) => (msg === 'worker ended' && worker === 1 ? [wait] : []))
    const ready = async () => (await fetch(`http://127.0.0.1:${await program.port('admin')}/readyz`)).status
    const ended = () => program.lines().filter(({ msg }) => msg === 'worker ended').length
    for (const round of [1, 2, 3]) {
      await expect.poll(() => workers().length, patient).toBe(2)
      killAll()
      await expect.poll(ready, { ...patient, interval: 5 }).toBe(503)
      await expect.poll(ended, patient).toBe(2 * round)
    }
    expect(waits()).toEqual([100, 200, 400])
    await expect.poll(ready, patient).toBe(200)
    // Port 0 may have given them another one, which is told.
    const portNow = () =>
      Number(program.lines().findLast(({ msg, listener }) => msg === 'listening' && listener === 'main')?.port)
    await expect.poll(async () => (await get({ port: portNow(), path: '/' })).status, patient).toBe(200)
  })

  it('goes on with the configuration that was there at the start, whatever becomes of the file', async () => {
    const more = join(folder, 'more.yaml')
    writeFileSync(more, `routes: [{ path: /more, public: true, upstream: "${upstream.url}" }]`)
    const { program, port, workers, folder: own } = await start(routes(`include: ${more}`), 2)
    writeFileSync(join(own, 'scopegate.yaml'), 'nonsense')
    writeFileSync(more, 'nonsense')
    process.kill(workers()[0]?.pid ?? 0, 'SIGKILL')
    await program.line({ msg: 'worker ended' })
    await expect.poll(() => workers().length, patient).toBe(2)
    expect(statuses(await getAtOnce(20, { port, path: '/more' }))).toEqual([200])
    const served = program.lines().filter(({ msg }) => msg === 'request')
    expect(served.every(({ route }) => route === '/more')).toBe(true)
  })

  it('ends when its primary is killed', async () => {
    const { program, workers } = await start(routes(), 2)
    const pids = workers().map(({ pid }) => pid)
    expect(pids.map(lives)).toEqual([true, true])
    program.child.kill('SIGKILL')
    await expect.poll(() => pids.filter(lives), patient).toEqual([])
  })
})

describe('SIGTERM to the primary', () => {
  it('lets what is in flight in every worker finish, takes nothing new, and leaves with 0', async () => {
    const { program, port, workers } = await start(routes(), 3)
    const { arrived, release } = holdAnswers()
    const inFlight = getAtOnce(60, { port, path: '/' })
    await expect.poll(arrived, patient).toBe(60)
    const pids = workers().map(({ pid }) => pid)
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopping' })
    expect((await fetch(`http://127.0.0.1:${await program.port('admin')}/readyz`)).status).toBe(503)
    // What comes before a worker has heard of it waits with the others.
    const tryOnce = () => get({ port, path: '/new', signal: AbortSignal.timeout(300) })
    await expect.poll(async () => (await tryOnce()).body, patient).toContain('ECONNREFUSED')
    release()
    expect(statuses(await inFlight)).toEqual([200])
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 0 })
    expect(program.lines().filter(({ msg }) => msg === 'worker ended' || msg === 'stopped')).toHaveLength(1)
    expect(pids.filter(lives)).toEqual([])
  })

  it('under load loses no request that was taken', async () => {
    const { program, port } = await start(routes(), 3)
    upstream.answer((_request, response) => void setTimeout(() => response.end('hello'), 20))
    const asked: Promise<{ status: number }>[] = []
    const timer = setInterval(() => asked.push(...Array.from({ length: 3 }, () => get({ port, path: '/' }))), 10)
    await pause(500)
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopped' })
    clearInterval(timer)
    const answers = await Promise.all(asked)
    // Whoever has connected, and of whom nothing was read yet, is told by the connection's end, or 503, to come again.
    expect(statuses(answers).filter((status) => ![0, 200, 503].includes(status))).toEqual([])
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(50)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 0 })
    const taken = program.lines().filter(({ msg, code }) => msg === 'request' && code !== 'stopping')
    expect(taken.filter(({ status }) => status !== 200)).toEqual([])
    expect(taken).toHaveLength(answers.filter(({ status }) => status === 200).length)
  })

  it('cuts off in all of them what does not finish within the grace, and tells how much', async () => {
    const { program, port } = await start(routes('shutdown_grace: 100ms'), 3)
    const { arrived, release } = holdAnswers()
    const inFlight = getAtOnce(30, { port, path: '/' })
    await expect.poll(arrived, patient).toBe(30)
    program.child.kill('SIGTERM')
    expect(statuses(await inFlight)).toEqual([0])
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 30 })
    release()
  })

  it('a second one ends all processes at once', async () => {
    const { program, port, workers } = await start(routes(), 2)
    const { arrived, release } = holdAnswers()
    const inFlight = get({ port, path: '/' })
    await expect.poll(arrived, patient).toBe(1)
    const pids = workers().map(({ pid }) => pid)
    program.child.kill('SIGTERM')
    await program.line({ msg: 'stopping' })
    program.child.kill('SIGTERM')
    expect((await program.ended).exitCode).toBe(1)
    expect(pids.filter(lives)).toEqual([])
    expect((await inFlight).status).toBe(0)
    release()
  })

  it('ends also a worker that hangs', async () => {
    const { program, workers } = await start(routes('shutdown_grace: 100ms'), 2)
    process.kill(workers()[0]?.pid ?? 0, 'SIGSTOP')
    program.child.kill('SIGTERM')
    expect((await program.ended).exitCode).toBe(0)
  })

  it('sent to all processes at once, as Ctrl-C is, ends them as one to the primary does', async () => {
    const { program, port, workers } = await start(routes(), 3)
    const { arrived, release } = holdAnswers()
    const inFlight = getAtOnce(30, { port, path: '/' })
    await expect.poll(arrived, patient).toBe(30)
    for (const pid of [...workers().map((each) => each.pid), program.child.pid ?? 0]) process.kill(pid, 'SIGINT')
    await program.line({ msg: 'stopping' })
    release()
    expect(statuses(await inFlight)).toEqual([200])
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().at(-1)).toMatchObject({ msg: 'stopped', cut_off: 0 })
  })
})
