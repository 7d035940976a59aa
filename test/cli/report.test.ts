import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readLines } from '../../src/cli/report-lines.ts'
import { createSummarizer } from '../../src/cli/report-summary.ts'
import { reportJson, reportText } from '../../src/cli/report-text.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { startGateway } from '../harness/gateway.ts'
import { runProgram } from '../harness/process.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let folder: string
let sso: AuthorizationServer
let upstream: Upstream
/** What a gateway wrote that really ran. */
let log: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'scopegate-report-'))
  sso = await startAuthorizationServer({
    clients: [{ client_id: 'caller-a', client_secret: 'the secret of caller-a' }],
  })
  upstream = await startUpstream()
  const until = new Date(Date.now() + 3_600_000).toISOString()
  const gateway = await startGateway(`
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
routes:
  - { path: /trial, require: { scopes: [customer.read, customer.write] }, mode: report, until: "${until}", upstream: "${upstream.url}" }
  - { path: /ready, require: any_token, mode: report, until: "${until}", upstream: "${upstream.url}" }
  - { path: /quiet, require: any_token, mode: report, until: "${until}", upstream: "${upstream.url}" }
  - { path: /strict, require: any_token, upstream: "${upstream.url}" }
`)
  const bearer = async (scope: string) =>
    `Authorization: Bearer ${await sso.issueToken({ clientId: 'caller-a', scope })}\r\n`
  const send = (path: string, headers = '') => ask(gateway.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`)
  await send('/trial')
  await send('/trial', await bearer('customer.read country.read'))
  await send('/trial', await bearer('customer.read'))
  await send('/trial', await bearer('customer.read customer.write'))
  await send('/ready', await bearer('customer.read'))
  await send('/strict')
  await send('/elsewhere')
  await gateway.stop()
  log = gateway.log.text()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await Promise.all([sso.stop(), upstream.stop()])
})

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** Sums up lines that a test made up. */
function summed(lines: readonly (object | string)[], ...limits: Parameters<typeof createSummarizer>) {
  const { summary, add } = createSummarizer(...limits)
  for (const line of lines) add(typeof line === 'string' ? line : JSON.stringify(line))
  return { text: reportText(summary), json: JSON.parse(reportJson(summary)) }
}

const request = {
  msg: 'request',
  time: '2026-11-01T00:00:00.000Z',
  listener: 'main',
  route: '/a',
  code: 'ok',
  status: 200,
  mode: 'report',
  address: '10.0.0.7',
  would_be: null,
}
const wouldBe = (code: string, reason = 'why') => ({ would_be: { status: 403, code, reason } })

describe('scopegate report', () => {
  it('tells by route and caller what was refused or would have been, and why', async () => {
    const { exitCode, stdout, stderr } = await runProgram(['report', file('a.log', log)])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const shown = stdout.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    expect(shown.split('\n')).toEqual([
      'route /trial of the listener main, in report mode until TIME',
      expect.stringMatching(/^caller +requests +would be refused +refused +first +last$/),
      expect.stringMatching(/^client caller-a +3 +2 +0 +TIME +TIME$/),
      '    2 × insufficient_scope: the scope lacks customer.write',
      '    scopes seen: country.read customer.read customer.write',
      '    scopes missing: customer.write',
      '    from 127.0.0.1',
      expect.stringMatching(/^address 127\.0\.0\.1 +1 +1 +0 +TIME +TIME$/),
      '    1 × token_required: there is no bearer token in the Authorization header',
      '',
      'route /strict of the listener main',
      expect.stringMatching(/^caller/),
      expect.stringMatching(/^address 127\.0\.0\.1 +1 +0 +1 +TIME +TIME$/),
      '    1 × token_required: there is no bearer token in the Authorization header',
      '',
      'requests that no route of the listener main owns',
      expect.stringMatching(/^caller/),
      expect.stringMatching(/^address 127\.0\.0\.1 +1 +0 +1 +TIME +TIME$/),
      expect.stringMatching(/^ {4}1 × no_route/),
      '',
      'route /ready of the listener main, in report mode until TIME',
      expect.stringMatching(/^caller/),
      expect.stringMatching(/^client caller-a +1 +0 +0 +TIME +TIME$/),
      '    scopes seen: customer.read',
      '',
      'route /quiet of the listener main, in report mode until TIME',
      '',
      '7 requests in the log',
      'route /trial: not yet: 3 of 4 requests would have been refused, of 2 callers',
      'route /strict: enforces: 1 of 1 request refused',
      'without a route: 1 of 1 request refused, in report mode or not',
      'route /ready: safe to enforce: 0 of 1 request would have been refused',
      'route /quiet: no request was seen, so nothing is known',
      '',
    ])
  })

  it('fails where nothing that it was given is a log', async () => {
    const junk = await runProgram(['report', file('junk', 'no log\n')])
    expect([junk.exitCode, junk.stdout.includes('1 line that could not be read')]).toEqual([1, true])
    expect((await runProgram(['report', file('a.log', log)])).exitCode).toBe(0)
  })

  it('reads several files, and tells programs the same in JSON', async () => {
    const { stdout } = await runProgram(['report', '--json', file('a.log', log), file('b.log', log)])
    const { lines, routes } = JSON.parse(stdout)
    expect(lines).toMatchObject({ requests: 14, unreadable: 0 })
    expect(routes[0]).toMatchObject({
      listener: 'main',
      route: '/trial',
      requests: 8,
      would_be_refused: 6,
      refused: 0,
      requests_in_report_mode: 8,
    })
    expect(routes[0].callers[0]).toEqual({
      client: 'caller-a',
      certificate: null,
      addresses: ['127.0.0.1'],
      requests: 6,
      would_be_refused: 4,
      refused: 0,
      first: expect.stringMatching(/Z$/),
      last: expect.stringMatching(/Z$/),
      refusals: [{ code: 'insufficient_scope', reason: 'the scope lacks customer.write', count: 4 }],
      scopes_seen: ['country.read', 'customer.read', 'customer.write'],
      scopes_missing: ['customer.write'],
    })
  })

  it('reads standard input for -', async () => {
    const child = spawn(process.execPath, ['src/cli/main.ts', 'report', '-'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let stdout = ''
    child.stdout.on('data', (piece: Buffer) => {
      stdout += piece
    })
    child.stdin.end(log)
    await once(child, 'close')
    expect(stdout).toContain('7 requests in the log\n')
  })

  it.each([
    ['nowhere.log', 'does not exist'],
    ['.', 'is a folder'],
  ])('says of a file that it cannot read why: %s', async (name, why) => {
    const path = join(folder, name)
    const { exitCode, stdout, stderr } = await runProgram(['report', file('a.log', log), path])
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 1, stdout: '', stderr: `scopegate: ${path} ${why}\n` })
  })

  it('wants to know which log', async () => {
    const { exitCode, stderr } = await runProgram(['report'])
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("missing required argument 'log'")])
  })
})

describe('the summary', () => {
  it('counts what is no line of the log, and goes on', () => {
    const { text, json } = summed(['', 'no JSON', '{"broken', '[1]', 'null', request, { msg: 'ready' }])
    expect(json.lines).toEqual({ requests: 1, other: 1, unreadable: 4 })
    expect(text).toContain('4 lines that could not be read left out\n')
  })

  it('reads lines behind what a container’s log puts before them', () => {
    expect(summed([`scopegate-1  | ${JSON.stringify(request)}`]).json.lines.requests).toBe(1)
  })

  it('knows when something was seen first and last, in whatever order the lines are', () => {
    const at = (time: string) => ({ ...request, time })
    const { json } = summed([at('2026-11-02'), at('2026-11-01'), at('2026-11-03')])
    expect(json.routes[0].callers[0]).toMatchObject({ first: '2026-11-01', last: '2026-11-03' })
  })

  it('knows a caller by the client of its token, its certificate, or its address, whichever there is first', () => {
    const certificate = 'dns_name batch.example'
    const { text, json } = summed([
      { ...request, caller: 'billing', certificate },
      { ...request, caller: 'billing', address: '10.0.0.9' },
      { ...request, certificate },
      { ...request, certificate, address: '10.0.0.9' },
      request,
    ])
    expect(text.match(/^(client|certificate|address) .*?(?= {2})/gm)).toEqual([
      'client billing',
      'certificate dns_name batch.example',
      'address 10.0.0.7',
    ])
    expect(json.routes[0].callers).toMatchObject([
      { client: 'billing', certificate: null, addresses: ['10.0.0.7', '10.0.0.9'] },
      { client: null, certificate, addresses: ['10.0.0.7', '10.0.0.9'] },
      { client: null, certificate: null, addresses: ['10.0.0.7'] },
    ])
  })

  it('names the scopes of which one would have done', () => {
    const any = { required_any_scope: ['b', 'c'], ...wouldBe('insufficient_scope') }
    const { json } = summed([
      { ...request, ...any, scopes: ['a'] },
      { ...request, required_any_scope: ['a', 'd'], scopes: ['a'] },
    ])
    expect(json.routes[0].callers[0].scopes_missing).toEqual(['b or c'])
  })

  it('calls a scope missing only where a valid token lacked it', () => {
    const { json } = summed([{ ...request, required_scopes: ['a'], ...wouldBe('token_required') }])
    expect(json.routes[0].callers[0].scopes_missing).toEqual([])
  })

  it('takes for a refusal neither the upstream’s own answers nor what goes wrong behind the gateway', () => {
    const { mode: _, ...enforced } = request
    const { json } = summed([
      { ...enforced, status: 403 },
      { ...enforced, status: 502, code: 'upstream_unreachable' },
      { ...enforced, status: 413, code: 'body_too_large' },
      { ...enforced, status: 503, code: 'keys_unavailable' },
    ])
    expect(json.routes[0]).toMatchObject({ requests: 4, refused: 1, would_be_refused: 0 })
  })

  it('tells the time in report mode from the time after it', () => {
    const { mode: _, ...enforced } = request
    const { text } = summed([request, { ...enforced, status: 401, code: 'token_required' }])
    expect(text).toContain(
      'route /a: safe to enforce: 0 of 1 request would have been refused; 1 refused while it enforced\n',
    )
  })

  it('tells callers of routes apart, however many strangers came by before', () => {
    const { route: _, ...nowhere } = { ...request, status: 404, code: 'no_route' }
    const strangers = Array.from({ length: 10_001 }, (_one, index) => ({ ...nowhere, address: `stranger ${index}` }))
    const { json } = summed([...strangers, { ...request, caller: 'billing' }])
    const callersOf = (route: string | null) =>
      json.routes.find((one: { route: unknown }) => one.route === route).callers
    expect(callersOf('/a').map(({ client }: { client: string }) => client)).toEqual(['billing'])
    expect(callersOf(null)).toHaveLength(101)
  })

  it('does not call a route safe while there are requests of which it is not known', () => {
    const { would_be: _, ...gone } = { ...request, code: 'caller_gone', status: 499 }
    const { text, json } = summed([request, gone])
    expect(text).toContain('route /a: not known yet: 1 of 2 requests ended before it was decided\n')
    expect(json.routes[0].undecided).toBe(1)
  })

  it('keeps listeners apart, and puts the worst first', () => {
    const { json } = summed([
      request,
      request,
      { ...request, listener: 'other', ...wouldBe('token_required') },
      { ...request, address: '10.0.0.8', ...wouldBe('token_required') },
      { ...request, address: '10.0.0.8', ...wouldBe('token_required') },
    ])
    expect(json.routes.map(({ listener }: { listener: string }) => listener)).toEqual(['main', 'other'])
    expect(json.routes[0].callers.map(({ addresses }: { addresses: string[] }) => addresses)).toEqual([
      ['10.0.0.8'],
      ['10.0.0.7'],
    ])
  })

  it('stays small, whatever callers, reasons and scopes there are, and says so', () => {
    const limits = { routes: 2, callers: 3, refusals: 2, scopes: 4, addresses: 2 }
    const lines = Array.from({ length: 100 }, (_, index) => ({
      ...request,
      address: `10.0.0.${index}`,
      scopes: [`s${index}`],
      ...wouldBe('invalid_token', `reason ${index}`),
    }))
    const { json, text } = summed(lines, limits)
    const [route] = json.routes
    expect(route).toMatchObject({ requests: 100, would_be_refused: 100 })
    expect(route.callers).toHaveLength(4)
    expect(route.callers[0]).toMatchObject({ client: null, requests: 97, would_be_refused: 97 })
    expect(route.callers[0].refusals).toHaveLength(3)
    expect(route.callers[0].refusals[0]).toEqual({ code: '', reason: 'other reasons', count: 95 })
    expect(route.callers[0].scopes_seen).toHaveLength(4)
    expect(route.callers[0].addresses).toHaveLength(2)
    expect(text).toMatch(/^\(others\) +97 +97/m)
    expect(text).toContain('100 of 100 requests would have been refused, of more than 3 callers\n')
    expect(text).toContain('more callers than can be told apart: some are summed up as (others)\n')
    const many = summed(
      lines.map((line, index) => ({ ...line, route: `/${index}` })),
      { routes: 2 },
    ).json.routes
    expect(many.map(({ route: name, requests }: { route: string; requests: number }) => [name, requests])).toEqual([
      ['(others)', 98],
      ['/0', 1],
      ['/1', 1],
    ])
  })

  it('shows the worst fifty callers of a route, and says that there are more', () => {
    const lines = Array.from({ length: 60 }, (_, index) => ({ ...request, address: `10.0.0.${index}` }))
    const { text, json } = summed(lines)
    expect(text.match(/^address /gm)).toHaveLength(50)
    expect(text).toContain('and 10 more callers: --json tells of all\n')
    expect(json.routes[0].callers).toHaveLength(60)
  })

  it('gives a terminal nothing that could steer it', () => {
    const evil = '\u001b[2J\u009b31m\u202e\nroute /a: safe'
    const { text } = summed([{ ...request, route: evil, caller: evil, scopes: [evil], ...wouldBe(evil, evil) }])
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{C}/u)
    expect(text.match(/^route \/a: safe/gm)).toBeNull()
  })

  it('survives lines that nobody would write', () => {
    const odd = [null, 1, [], {}, '__proto__', 'constructor', ['x', 1, null]]
    const lines = odd.flatMap((value) =>
      [
        'route',
        'listener',
        'caller',
        'address',
        'time',
        'scopes',
        'required_scopes',
        'required_any_scope',
        'would_be',
        'mode',
      ].map((name) => ({ ...request, [name]: value })),
    )
    expect(summed([...lines, '{"msg":"request","__proto__":{"route":"x"}}']).json.lines.requests).toBe(71)
  })
})

describe('the lines of a log', () => {
  it('are read whole, wherever the pieces of a file end, with and without an end of the last one', async () => {
    const lines = Array.from({ length: 5000 }, (_, index) => `${index} ${'ü€😀'.repeat(index % 40)}`)
    for (const end of ['', '\n']) {
      const read: (string | undefined)[] = []
      await readLines(file('lines.log', lines.join('\n') + end), (line) => read.push(line))
      expect(read).toEqual(lines)
    }
  })

  it('are left out where they are too long to be any', async () => {
    const long = 'x'.repeat(3 * 1024 * 1024)
    const read: (string | undefined)[] = []
    await readLines(file('long.log', `a\n${long}\nb\n${long}`), (line) => read.push(line))
    expect(read).toEqual(['a', undefined, 'b', undefined])
  })
})
