import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../harness/authorization-server.ts'
import { runProgram } from '../harness/process.ts'
import { startRedis } from '../harness/redis.ts'

let sso: AuthorizationServer
let folder: string
let config: string

beforeAll(async () => {
  sso = await startAuthorizationServer()
  folder = mkdtempSync(join(tmpdir(), 'scopegate-token-'))
  config = join(folder, 'scopegate.yaml')
  writeFileSync(
    config,
    `
authorization_servers: { sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } } }
clients:
  service: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}", scope: country.read }
routes:
  - { path: /a, callers: { networks: [loopback] }, token: { client: service }, upstream: "http://127.0.0.1:1" }
  - name: customers
    path: /b
    callers: { networks: [loopback] }
    token: { client: service, scopes: [customer.read], header: X-Token, scheme: none }
    upstream: "http://127.0.0.1:1"
  - { path: /swap, require: any_token, token: { client: service, exchange: subject_token }, upstream: "http://127.0.0.1:1" }
  - { path: /open, public: true, upstream: "http://127.0.0.1:1" }
`,
  )
})
afterAll(async () => {
  await sso.stop()
  rmSync(folder, { recursive: true })
})

const run = (args: readonly string[], secret = sso.client.client_secret) =>
  runProgram(['token', ...args, '--config', config], { SECRET: secret })

describe('scopegate token', () => {
  it('says what a token is, and does not show it', async () => {
    const { exitCode, stdout, stderr } = await run(['service'])
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^client: +service\nfrom: +the authorization server, in \d+ ms\nexpires: +\S+Z, in (299|300) s\n/,
    )
    expect(stdout).toContain('asked scope:   country.read\ngranted scope: country.read\n')
    expect(stdout).toContain('"client_id": "default-client"')
    expect(stdout).not.toMatch(/eyJ/)
  })

  it('asks for another scope', async () => {
    const { stdout } = await run(['service', '--scope', 'customer.read customer.write'])
    expect(stdout).toContain('granted scope: customer.read customer.write\n')
  })

  it('shows the token that a route sends, and how', async () => {
    const { exitCode, stdout } = await run(['--route', 'customers'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^client: +service\nsent as: +X-Token: …\n/)
    expect(stdout).toContain('asked scope:   customer.read\ngranted scope: customer.read\n')
    expect((await run(['service', '--route', '/a'])).stdout).toContain('sent as:       Authorization: Bearer …\n')
  })

  it.each([
    [['--route', '/c'], 'there is no route /c; a token goes out on /a, customers, /swap'],
    [['--route', '/open'], 'no token goes out on the route /open; a token goes out on /a, customers, /swap'],
    [
      ['--route', '/swap'],
      'the route /swap exchanges the token of each caller, and here is none: call the route itself; its log line has the reason where that fails',
    ],
    [['other', '--route', '/a'], 'the route /a sends the token of service, and not of other'],
    [[], 'whose token? Name a client, or a route with --route'],
    [
      ['service', '--scope', 'a"b'],
      'the wish for a token cannot be sent: scopes.0: is "a\\"b", and must be one scope value (several are a list: [a, b])',
    ],
  ])('says what is wrong with %j', async (args, message) => {
    expect(await run(args)).toMatchObject({ exitCode: 1, stderr: `scopegate: ${message}\n` })
  })

  it('does not claim to know what was granted where the server does not say', async () => {
    const body = { access_token: 'opaque', token_type: 'Bearer', expires_in: 1 }
    sso.answer('token', answerWith(200, JSON.stringify(body), { 'content-type': 'application/json' }))
    const { stdout } = await run(['service'])
    sso.answer('token')
    expect(stdout).toContain('asked scope:   country.read\ngranted scope: the server did not say\n')
  })

  it('asks the server past a token that is shared in Redis, when asked to', async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const shared = join(folder, 'shared.yaml')
    const cache = `token_cache: { redis: { url: "${redis.url}", encryption_keys: ["${'a'.repeat(43)}"] } }`
    writeFileSync(shared, `${readFileSync(config, 'utf8')}\n${cache}\n`)
    const from = async (...args: string[]) => {
      const env = { SECRET: sso.client.client_secret }
      const { stdout } = await runProgram(['token', 'service', ...args, '--config', shared], env)
      return /^from: +(.*), in/m.exec(stdout)?.[1]
    }
    expect(await from()).toBe('the authorization server')
    expect(await from()).toBe('redis')
    expect(await from('--fresh')).toBe('the authorization server')
  })

  it('prints the token itself, and nothing else, when asked to', async () => {
    const child = spawn(process.execPath, ['src/cli/main.ts', 'token', 'service', '--raw', '--config', config], {
      env: { ...process.env, SECRET: sso.client.client_secret },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const printed = Buffer.concat(await child.stdout.toArray()).toString()
    expect(printed).toMatch(/^\S+\n$/)
    expect(decodeJwt(printed.trim())).toMatchObject({ client_id: 'default-client', scope: 'country.read' })
  })

  it('says why there is none, without the secret', async () => {
    const { exitCode, stdout, stderr } = await run(['service'], 'a-wrong-secret')
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(
      /^scopegate: no token for service: authorization_server_refused: the token endpoint answered 401: invalid_client/,
    )
    expect(stderr).not.toContain('a-wrong-secret')
  })

  it('names the clients that there are', async () => {
    const { exitCode, stderr } = await run(['servce'])
    expect([exitCode, stderr]).toEqual([1, 'scopegate: there is no client servce; there is service\n'])
  })
})
