import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { runProgram } from '../harness/process.ts'

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
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients:
  service: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}", scope: country.read }
routes:
  - { path: /a, callers: { networks: [loopback] }, token: { client: service }, upstream: "http://127.0.0.1:1" }
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
    expect(stdout).toContain('granted scope: country.read\n')
    expect(stdout).toContain('"client_id": "default-client"')
    expect(stdout).not.toMatch(/eyJ/)
  })

  it('asks for another scope', async () => {
    const { stdout } = await run(['service', '--scope', 'customer.read customer.write'])
    expect(stdout).toContain('granted scope: customer.read customer.write\n')
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
