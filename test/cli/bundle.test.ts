import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { bundleProgram } from '../../scripts/bundle.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { runProgram, startProgram } from '../harness/process.ts'
import { ask } from '../harness/raw-client.ts'
import { startRedis } from '../harness/redis.ts'
import { startRawUpstream } from '../harness/upstream.ts'
import { openConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'

let folder: string
let main: string
let sso: AuthorizationServer

// Nothing is there beside it, as there is not in the image: least of all libraries.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-bundle-'))
  main = join(folder, 'dist/cli/main.js')
  sso = await startAuthorizationServer({ audience: 'https://api.example.test' })
  cpSync('package.json', join(folder, 'package.json'))
  await bundleProgram(join(folder, 'dist'))
})
afterAll(async () => {
  await sso.stop()
  rmSync(folder, { recursive: true })
})

const env = () => ({ SECRET: sso.client.client_secret, KEY: randomBytes(32).toString('base64url') })
const run = (...args: string[]) => runProgram(args, env(), { main })

function file(text: string): string {
  const path = join(folder, `${Math.random()}.yaml`)
  writeFileSync(path, text)
  return path
}

const config = (upstream: string, more = '') =>
  file(`
listeners: { main: { address: "127.0.0.1:0" } }
authorization_servers: { sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } } }
clients: { ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
${more}
routes:
  - { path: /guarded, require: { scopes: [customer.read] }, upstream: "${upstream}" }
  - { path: /token, callers: { networks: [loopback] }, token: { client: ours, scopes: [country.read] }, upstream: "${upstream}" }
`)

/** An upstream that takes WebSockets, and tells everybody else which header it got. */
async function startTeller() {
  const upstream = await startRawUpstream((socket, received) => {
    if (!received.endsWith('\r\n\r\n')) return
    const told = /^authorization: (\w+)/im.exec(received)?.[1] ?? ''
    const length = `content-length: ${told.length}`
    socket.write(/^upgrade:/im.test(received) ? socketAnswer() : `HTTP/1.1 200 OK\r\n${length}\r\n\r\n${told}`)
  })
  onTestFinished(upstream.stop)
  return upstream
}

describe('the built program, with nothing but Node and its package.json beside it,', () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    expect(await run('--version')).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('says in one line which Node it needs', async () => {
    const older = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.20.2"}})'
    const { exitCode, stderr } = await runProgram(['check'], {}, { main, nodeArgs: ['--import', older] })
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/^scopegate needs Node 24\.21 .*; this is 20\.20\.2\n$/),
    ])
  })

  it('checks a configuration', async () => {
    const good = await run('check', '--config', config('http://127.0.0.1:9'))
    expect([good.exitCode, good.stderr]).toEqual([0, ''])
    const bad = await run('check', '--config', config('http://127.0.0.1:9', 'route: []'))
    expect([bad.exitCode, bad.stderr]).toEqual([1, expect.stringMatching(/\.yaml:5:1: route: .*routes/)])
  })

  it('prints schema and presets, and sums up a log', async () => {
    expect((await run('schema')).stdout).toBe(readFileSync('config/scopegate.schema.json', 'utf8'))
    expect((await run('presets')).stdout).toContain('keycloak')
    expect((await run('report', file('{"msg":"ready"}\n'))).exitCode).toBe(0)
  })

  it('gets a token', async () => {
    const path = config('http://127.0.0.1:9')
    const { exitCode, stdout, stderr } = await run('token', '--route', '/token', '--config', path)
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toContain('granted scope: country.read\n')
  })

  it('serves: it checks tokens, attaches them, shares them in a Redis, takes WebSockets, and tells its metrics', async () => {
    const redis = await startRedis()
    onTestFinished(redis.stop)
    const upstream = await startTeller()
    const shared = `token_cache: { redis: { url: "${redis.url}", encryption_keys: ["\${env:KEY}"] } }`
    const path = config(upstream.url, `admin: { address: "127.0.0.1:0" }\n${shared}`)
    const program = startProgram(['serve', '--config', path], env(), { main })
    onTestFinished(async () => {
      program.child.kill('SIGKILL')
      await program.ended
    })
    const [port, admin] = [await program.port('main'), await program.port('admin')]
    const get = (target: string, header = '') => ask(port, `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n${header}\r\n`)
    const bearer = `Authorization: Bearer ${await sso.issueToken({ scope: 'customer.read' })}\r\n`

    expect((await get('/guarded')).status).toBe(401)
    expect(await get('/guarded', bearer)).toMatchObject({ status: 200, body: 'Bearer' })
    expect(await get('/token')).toMatchObject({ status: 200, body: 'Bearer' })
    expect((await redis.cli('keys', '*')).trim()).toContain('scopegate:')
    const connection = openConnection(port, socketRequest('/token'))
    await connection.until((received) => received.includes('\r\n\r\n'))
    expect(connection.received()).toMatch(/^HTTP\/1\.1 101 /)
    connection.socket.destroy()
    const { body } = await ask(admin, 'GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(body).toMatch(/^scopegate_requests_total\{.*status="401".*\} 1$/m)
    expect(body).toContain('process_cpu_seconds_total')
    program.child.kill('SIGTERM')
    expect((await program.ended).exitCode).toBe(0)
    expect(program.lines().filter(({ level }) => level === 'error')).toEqual([])
  })
})

it('the licences of all libraries lie beside the built program', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> }
  const licences = readFileSync(join(folder, 'dist/LICENSES.txt'), 'utf8')
  for (const [name, version] of Object.entries(dependencies)) expect(licences).toContain(`\n${name} ${version}\n`)
})
