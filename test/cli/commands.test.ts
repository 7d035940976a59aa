import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { presets } from '../../src/authorization-server/presets/index.ts'
import { testCertificate } from '../harness/certificates.ts'
import { runProgram } from '../harness/process.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(text: string): string {
  const path = join(folder, 'scopegate.yaml')
  writeFileSync(path, text)
  return path
}

const secrets = { ARCHIVAL_SECRET: 'archival-secret', BILLING_KEY: testCertificate('client').privateKey }

describe('scopegate check', () => {
  it('says that the example is good', async () => {
    const { exitCode, stdout, stderr } = await runProgram(['check'], secrets)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toBe('config/scopegate.yaml: good (7 routes, 2 listeners, 2 authorization servers, 2 clients)\n')
  })

  it('prints each fault with file, line and column, and ends with 1', async () => {
    const path = file('routes:\n  - path: /a\n    publik: true\n    upstream: http://a:1\n')
    const { exitCode, stderr, stdout } = await runProgram(['check', '--config', path])
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toBe(`${path}:3:5: routes[0].publik: is not a known key; did you mean "public"?\n`)
  })

  it('takes the file from SCOPEGATE_CONFIG', async () => {
    const { exitCode, stderr } = await runProgram(['check'], { SCOPEGATE_CONFIG: join(folder, 'nowhere.yaml') })
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`${join(folder, 'nowhere.yaml')}:1:1: does not exist;`)
  })

  it('warns of a secret in plain text, and with --strict refuses it; neither shows it', async () => {
    const path = file(`
authorization_servers: { sso: { issuer: https://sso.example.com } }
clients: { c: { authorization_server: sso, client_id: c, client_secret: in-the-open } }
routes: [{ path: /a, callers: { networks: [loopback] }, token: { client: c }, upstream: "https://a" }]
`)
    const lenient = await runProgram(['check', '--config', path])
    expect([lenient.exitCode, lenient.stderr.startsWith(`${path}:3:73: warning: clients.c.client_secret:`)]).toEqual([
      0,
      true,
    ])
    const strict = await runProgram(['check', '--strict', '--config', path])
    expect([strict.exitCode, strict.stdout, strict.stderr.includes('warning')]).toEqual([1, '', false])
    expect(lenient.stderr + strict.stderr).not.toContain('in-the-open')
  })
})

describe('scopegate check, of a route in report mode', () => {
  const routes = (until: number) => `
authorization_servers: { sso: { issuer: "https://sso.example.com", access_tokens: { audience: any } } }
routes: [{ path: /a, require: any_token, mode: report, upstream: "http://a:1", until: ${new Date(until).toISOString()} }]
`
  it('says that it refuses nobody, and with --strict lets it pass: it is meant', async () => {
    const until = Date.now() + 3_600_000
    const path = file(routes(until))
    const { exitCode, stdout, stderr } = await runProgram(['check', '--strict', '--config', path])
    expect([exitCode, stdout]).toEqual([0, `${path}: good (1 route, 1 listener, 1 authorization server, 0 clients)\n`])
    const date = new Date(until).toISOString()
    expect(stderr).toBe(`${path}:3:87: note: routes[0].until: nobody is refused here until ${date}, only reported\n`)
  })

  it('warns once its date is over: somebody forgot it', async () => {
    const path = file(routes(Date.now() - 1))
    const lenient = await runProgram(['check', '--config', path])
    expect([lenient.exitCode, lenient.stderr]).toEqual([
      0,
      `${path}:3:87: warning: routes[0].until: is over, and the route enforces already; remove mode and until\n`,
    ])
    expect((await runProgram(['check', '--strict', '--config', path])).exitCode).toBe(1)
  })
})

describe('scopegate presets', () => {
  it('lists every preset with its server, what it sets, and who says so', async () => {
    const { exitCode, stdout } = await runProgram(['presets'])
    expect(exitCode).toBe(0)
    for (const { name, server } of presets) expect(stdout).toContain(`${name} (${server})\n`)
    expect(stdout).toMatch(/^okta \(Okta\)\n {2}access_tokens\.scope_claims: \[scp\]\n {4}https:\/\//m)
  })

  it('tells of one why, and what is left to be written', async () => {
    const { exitCode, stdout } = await runProgram(['presets', 'cognito'])
    expect(exitCode).toBe(0)
    expect(stdout).toContain('    the client stands in client_id\n')
    expect(stdout).toContain('write audience: any')
    expect(stdout).not.toContain('okta')
  })

  it('tells which there are, where there is none of that name', async () => {
    const { exitCode, stdout, stderr } = await runProgram(['presets', 'keycloack'])
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/^scopegate: there is no preset keycloack; there is adfs, .*keycloak, .*\n$/)
  })
})

describe('scopegate', () => {
  it('schema prints what lies beside the example', async () => {
    const { exitCode, stdout } = await runProgram(['schema'])
    expect([exitCode, stdout]).toEqual([0, readFileSync('config/scopegate.schema.json', 'utf8')])
  })

  it('explains itself', async () => {
    const { exitCode, stdout } = await runProgram(['--help'])
    expect(exitCode).toBe(0)
    for (const command of ['serve', 'check', 'schema']) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'))
  })

  it('tells an unknown command and what was probably meant', async () => {
    const { exitCode, stderr } = await runProgram(['chek'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('Did you mean check?')
  })

  it('says in one line which Node it needs, before it loads anything else', async () => {
    const older = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.20.2"}})'
    const { exitCode, stdout, stderr } = await runProgram(['check'], {}, { nodeArgs: ['--import', older] })
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/^scopegate needs Node 24\.21 .*; this is 20\.20\.2\n$/)
  })
})
