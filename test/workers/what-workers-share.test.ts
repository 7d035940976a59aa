import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { get, getAtOnce } from '../faults/load.ts'
import { tokenFault } from '../faults/spent-tokens.ts'
import { startAuthorizationServer } from '../harness/authorization-server.ts'
import { connectTls, listenerEnv } from '../harness/caller-certificates.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'
import { openConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'
import { createKeeper } from '../proxy/keep.ts'
import { type Crew, createCrewKeeper } from './crew.ts'

// Many processes start here, each at its own pace.
vi.setConfig({ testTimeout: 60_000 })
const patient = { timeout: 30_000 }
const { keep } = createKeeper()
const { start } = createCrewKeeper()
const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

const open = (upstream: Pick<Upstream, 'url'>) => `routes: [{ path: /**, public: true, upstream: "${upstream.url}" }]\n`
const statuses = (answers: readonly { readonly status: number }[]) => [...new Set(answers.map(({ status }) => status))]
const requestLines = ({ program }: Crew) => program.lines().filter(({ msg }) => msg === 'request')

describe('access tokens without a Redis', () => {
  async function startCrew(lifetime = 300) {
    const faults: string[] = []
    const sso = await keep(startAuthorizationServer({ lifetime }))
    const upstream = await keep(
      startUpstream((_request, response, seen) => {
        const fault = tokenFault(seen, Date.now())
        if (fault) faults.push(fault)
        response.end('welcome')
      }),
    )
    const crew = await start(
      `
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients: { legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
routes: [{ path: /**, callers: { networks: [loopback] }, token: { client: legacy }, upstream: "${upstream.url}" }]
`,
      4,
      { SECRET: sso.client.client_secret },
    )
    return { sso, crew, faults, tokenRequests: () => sso.requestsTo('token').length }
  }

  it('are asked for once for all callers of four workers, and once again when they are renewed', async () => {
    const { crew, faults, tokenRequests } = await startCrew(10)
    const began = Date.now()
    const { port } = crew
    expect(statuses(await getAtOnce(300, { port, path: '/' }))).toEqual([200])
    await expect.poll(() => requestLines(crew).length, patient).toBe(300)
    const counts = Map.groupBy(requestLines(crew), ({ worker }) => worker)
    expect(counts.size).toBeGreaterThan(1)
    expect(tokenRequests()).toBe(1)
    // One worker has fetched it, the others have it from there.
    const fetchedBy = new Set(requestLines(crew).flatMap(({ token, worker }) => (token === 'fetched' ? [worker] : [])))
    expect(fetchedBy.size).toBe(1)
    while (Date.now() - began < 8000) {
      expect(statuses(await getAtOnce(20, { port, path: '/' }))).toEqual([200])
      await pause(100)
    }
    expect(tokenRequests()).toBe(2)
    expect(faults).toEqual([])
    expect(await crew.admin('/metrics')).toMatch(
      /^scopegate_access_tokens_total\{client="legacy",source="memory"\} \d+$/m,
    )
  })

  it('are asked for by another worker at once when the one that asks is killed', async () => {
    const { sso, crew, faults, tokenRequests } = await startCrew()
    const { port } = crew
    const answerHeld = sso.hold('token')
    const handles = () => crew.workers().map(({ pid }) => ({ pid, count: readdirSync(`/proc/${pid}/fd`).length }))
    const idle = handles()
    const first = get({ port, path: '/' })
    await expect.poll(tokenRequests, { ...patient, interval: 5 }).toBe(1)
    // It has its caller's connection, and that to the authorization server.
    const asking = handles().find(({ count }, index) => count > (idle[index]?.count ?? count))
    const waiting = getAtOnce(200, { port, path: '/' })
    await pause(1000)
    expect(tokenRequests()).toBe(1)
    process.kill(asking?.pid ?? 0, 'SIGKILL')
    await crew.program.line({ msg: 'worker ended', pid: asking?.pid })
    const killedAt = performance.now()
    expect((await first).status).toBe(0)
    await expect.poll(tokenRequests, { ...patient, interval: 5 }).toBe(2)
    // Not only when the lease is over.
    expect(performance.now() - killedAt).toBeLessThan(1000)
    answerHeld()
    expect(statuses(await waiting).sort()).toEqual([0, 200])
    expect(tokenRequests()).toBe(2)
    expect(faults).toEqual([])
  })
})

describe('the metrics', () => {
  it('are those of all workers together, never go down, and wait for none that hangs', async () => {
    const upstream = await keep(startUpstream((_request, response) => response.end('hello')))
    const crew = await start(open(upstream), 3)
    const total = async () => {
      const [, count] = /^scopegate_requests_total\{.*code="ok"\} (\d+)$/m.exec(await crew.admin('/metrics')) ?? []
      return Number(count)
    }
    await getAtOnce(100, { port: crew.port, path: '/' })
    await expect.poll(total, patient).toBe(100)
    expect(new Set(requestLines(crew).map(({ worker }) => worker)).size).toBeGreaterThan(1)
    for (const { pid } of crew.workers().slice(0, 2)) process.kill(pid, 'SIGKILL')
    await expect.poll(() => crew.program.lines().filter(({ msg }) => msg === 'worker ended').length, patient).toBe(2)
    expect(await total()).toBe(100)
    await expect.poll(() => crew.workers().length, patient).toBe(3)
    await getAtOnce(50, { port: crew.port, path: '/' })
    await expect.poll(total, patient).toBe(150)
    const [hanging] = crew.workers()
    process.kill(hanging?.pid ?? 0, 'SIGSTOP')
    const began = performance.now()
    expect(await total()).toBe(150)
    expect(performance.now() - began).toBeLessThan(2000)
    expect(await crew.admin('/metrics')).toMatch(/^scopegate_workers 3$/m)
  })
})

describe('a limit of connections', () => {
  it('holds for all workers together', async () => {
    const released = Promise.withResolvers<void>()
    const upstream = await keep(
      startUpstream(async (_request, response) => {
        await released.promise
        response.end('late')
      }),
    )
    const listeners = 'listeners: { main: { address: "127.0.0.1:0", limits: { connections: 10 } } }\n'
    const crew = await start(`${listeners}${open(upstream)}`, 3)
    const asked = getAtOnce(100, { port: crew.port, path: '/' })
    await expect
      .poll(() => crew.program.lines().filter(({ code }) => code === 'too_many_connections').length, patient)
      .toBe(90)
    expect(upstream.requests).toHaveLength(10)
    released.resolve()
    expect((await asked).filter(({ status }) => status === 200)).toHaveLength(10)
  })
})

describe('every worker', () => {
  it('presents a certificate that was renewed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'scopegate-renewal-'))
    folders.push(folder)
    const certificates = join(import.meta.dirname, '../harness/certificates/callers')
    const use = (name: string) => copyFileSync(join(certificates, `${name}.pem`), join(folder, 'server.pem'))
    use('server')
    const upstream = await keep(startUpstream((_request, response) => response.end('hello')))
    const tls = `{ certificate: "\${file:${folder}/server.pem}", private_key: "\${env:LISTENER_KEY}" }`
    const listeners = `listeners: { main: { address: "127.0.0.1:0", tls: ${tls} } }\n`
    const key = readFileSync(join(certificates, 'server.key'), 'utf8')
    const crew = await start(`${listeners}${open(upstream)}`, 2, { ...listenerEnv, LISTENER_KEY: key })
    const presented = async () => {
      const socket = connectTls(crew.port)
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
      const { serialNumber } = socket.getPeerCertificate()
      socket.destroy()
      return serialNumber
    }
    const before = await presented()
    use('server-renewed')
    await pause(1100)
    const after = await Promise.all(Array.from({ length: 30 }, presented))
    expect(new Set(after).size).toBe(1)
    expect(after[0]).not.toBe(before)
    const renewed = () =>
      new Set(crew.program.lines().flatMap(({ msg, worker }) => (msg === 'certificate renewed' ? [worker] : [])))
    await expect
      .poll(async () => {
        await presented()
        return renewed().size
      }, patient)
      .toBe(2)
  })

  it('takes WebSockets, which last while the others come and go', async () => {
    const upstream = await keep(
      startRawUpstream((socket, received) => {
        if (received.endsWith('\r\n\r\n')) socket.write(socketAnswer(), 'latin1')
        else socket.write('pong', 'latin1')
      }),
    )
    const crew = await start(open(upstream), 2)
    const sockets = Array.from({ length: 20 }, () => openConnection(crew.port, socketRequest('/')))
    await Promise.all(sockets.map((each) => each.until((received) => received.includes('101 Switching Protocols'))))
    const [one] = crew.workers()
    process.kill(one?.pid ?? 0, 'SIGKILL')
    await crew.program.line({ msg: 'worker ended' })
    await pause(200)
    const left = sockets.filter(({ socket }) => !socket.destroyed)
    expect(left.length).toBeGreaterThan(0)
    expect(left.length).toBeLessThan(20)
    for (const { socket } of left) socket.write('ping')
    await Promise.all(left.map((each) => each.until((received) => received.endsWith('pong'))))
    crew.program.child.kill('SIGTERM')
    await crew.program.line({ msg: 'stopping' })
    for (const { socket } of left) socket.destroy()
    expect((await crew.program.ended).exitCode).toBe(0)
  })
})

describe('the log of several workers', () => {
  /** Reads on until all is ready, then not for a while, and then everything. */
  const slowReader = `
while IFS= read -r line; do
  echo "$line"
  case "$line" in *'"msg":"ready"'*) break;; esac
done
sleep 4
cat`

  it('has whole lines, also in a pipe whose reader is slow', async () => {
    const upstream = await keep(startUpstream((_request, response) => response.end('hello')))
    const folder = mkdtempSync(join(tmpdir(), 'scopegate-pipe-'))
    folders.push(folder)
    const file = join(folder, 'scopegate.yaml')
    writeFileSync(file, `listeners: { main: { address: "127.0.0.1:0" } }\n${open(upstream)}`)
    const main = join(import.meta.dirname, '../../src/cli/main.ts')
    const command = [process.execPath, main, 'serve', '--config', file, '--workers', '4']
    const shell = spawn('sh', ['-c', `"$@" | { ${slowReader}\n}`, 'sh', ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    await keep({ stop: async () => void process.kill(-(shell.pid ?? 0), 'SIGKILL') })
    let text = ''
    shell.stdout.on('data', (piece: Buffer) => {
      text += piece.toString()
    })
    const portOf = () => Number(/"port":(\d+),"msg":"listening"/.exec(text)?.[1])
    await expect.poll(portOf, patient).toBeGreaterThan(0)
    // Of lengths that do not make up a full piece, and more than a pipe holds.
    for (let round = 0; round < 10; round++) {
      const paths = Array.from({ length: 10 }, (_, index) => `/${'x'.repeat(700 + 37 * index)}`)
      await Promise.all(paths.map((path) => getAtOnce(10, { port: portOf(), path })))
    }
    const lines = () => text.split('\n').slice(0, -1)
    await expect.poll(() => text.match(/"msg":"request"/g)?.length, patient).toBe(1000)
    expect(lines().filter((line) => !/^\{"level"[^{]*\}$/.test(line))).toEqual([])
  })
})
