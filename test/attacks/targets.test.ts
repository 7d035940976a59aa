/**
 * The attack: a caller who may read `/` and everything below it, but not `/admin`, writes `/admin` so that the gateway
 * takes it for something else and the server behind takes it for `/admin`. The same is tried on a guarded path further
 * down, on a host of its own, and on one method of a path that is open for another. Every target goes over a socket and
 * is looked for at the upstream's, where nothing may arrive that any server could serve as a guarded path, unless the
 * caller has a token.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { type StrictUpstream, startStrictUpstream } from '../harness/strict-upstream.ts'
import { exchange } from './guarded.ts'
import { disguised, forbidden, spelt } from './hostile-targets.ts'
import { ownerOf, servedPaths } from './lenient-servers.ts'

let sso: AuthorizationServer
let upstream: StrictUpstream
let gateway: RunningGateway
let token = ''

const open = [{ path: '/**', admission: 'everybody' }]
const guarded = ['/admin/**', '/api/v1/admin/**', '/files/*/keys'].map((path) => ({ path, admission: 'token' }))

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startStrictUpstream()
  const to = `upstream: "${upstream.url}"`
  gateway = await startGateway(`
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
routes:
${open.map(({ path }) => `  - { path: "${path}", public: true, ${to} }`).join('\n')}
${guarded.map(({ path }) => `  - { path: "${path}", require: any_token, ${to} }`).join('\n')}
  - { host: "*.internal.example", path: /**, require: any_token, ${to} }
  - { path: /items/**, methods: [GET, POST], public: true, ${to} }
  - { path: /items/**, methods: [DELETE], require: any_token, ${to} }
`)
  token = await sso.issueToken()
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))

interface Asked {
  readonly method?: string
  readonly host?: string
  readonly headers?: string
}

/** The answer, as `400 code` or `200 seen: GET /x`, and what has reached the upstream. */
async function ask(target: string, { method = 'GET', host = 'a', headers = '' }: Asked = {}) {
  const before = upstream.answered.length
  const bytes = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`
  const [answer] = parseAnswers(await exchange(gateway.port, bytes, () => false))
  const seen = upstream.answered.slice(before)
  expect(upstream.seen()).toHaveLength(upstream.answered.length)
  return {
    told: `${answer?.status} ${/"code":"(\w+)"/.exec(answer?.body ?? '')?.[1] ?? answer?.body}`,
    seen: seen.map(({ method: verb, target: path }) => `${verb} ${path}`),
  }
}

const withToken = () => ({ headers: `Authorization: Bearer ${token}\r\n` })

test('the targets are many, and no two are the same', () => {
  const all = [...disguised, ...forbidden, ...spelt]
  expect(new Set(all).size).toBe(all.length)
  expect(all.length).toBeGreaterThan(300)
})

describe('a guarded path in disguise reaches nobody, with a token or without', () => {
  test.each(disguised)('%s', async (target) => {
    expect(await ask(target)).toEqual({ told: '400 ambiguous_target', seen: [] })
    expect(await ask(target, withToken())).toEqual({ told: '400 ambiguous_target', seen: [] })
  })

  test.each(disguised)('/api/v1%s', async (target) => {
    const { told, seen } = await ask(`/api/v1${target}`)
    expect(told).toMatch(/^400 (ambiguous|invalid)_target$/)
    expect(seen).toEqual([])
  })

  test.each(disguised)('%s below a path that is open', async (target) => {
    const wildcard = `/files${target.replace(/admin/i, 'x')}/keys`
    const { seen } = await ask(wildcard)
    expectOpen(seen)
  })
})

describe('what no server may see reaches nobody', () => {
  test.each(forbidden)('%s', async (target) => {
    for (const asked of [{}, withToken()]) {
      const { told, seen } = await ask(target, asked)
      expect(told).toMatch(/^(400 (invalid_target|malformed_request)|501 method_not_implemented)$/)
      expect(seen).toEqual([])
    }
  })
})

describe('a guarded path in its own or an odd spelling wants a token, and goes on as it was written', () => {
  test.each(spelt)('%s', async (target) => {
    expect(await ask(target)).toEqual({ told: '401 token_required', seen: [] })
    expect(await ask(target, withToken())).toEqual({ told: `200 seen: GET ${target}`, seen: [`GET ${target}`] })
  })
})

test('and what is open and looks a little like it is open', async () => {
  for (const target of [
    '/administrator',
    '/adm',
    '/open/admin',
    '/x/admin/keys',
    '/admin-x',
    '/_admin',
    '/Files/x/key',
  ]) {
    expect(await ask(target)).toEqual({ told: `200 seen: GET ${target}`, seen: [`GET ${target}`] })
  }
})

describe('a guarded host wants a token, however it is written', () => {
  test.each([
    'a.internal.example',
    'A.INTERNAL.EXAMPLE',
    'a.internal.example.',
    'a.internal.example:80',
    'a.internal.example.:65535',
    'a.b.internal.example',
    'a.internal.example:',
  ])('%s', async (host) => {
    expect(await ask('/x', { host })).toEqual({ told: '401 token_required', seen: [] })
  })

  test.each([
    'a.internal.example..',
    '.internal.example',
    'a..internal.example',
    'x@a.internal.example',
    'a.internal.example@x',
    'a.internal.example/x',
    'x/a.internal.example',
    'a.internal.example,x',
    'x a.internal.example',
    'a.internal.example#x',
    'a.internal.example?x',
    'a.internal.example\\x',
    'a%2einternal.example',
    'a.internal.example%00',
    'a\xe3\x80\x82internal.example',
    'a.internal.example:80:80',
    'http://a.internal.example',
  ])('%s is none', async (host) => {
    expect(await ask('/x', { host })).toEqual({ told: '400 invalid_host', seen: [] })
  })

  test('a header that names it is not believed', async () => {
    for (const name of ['X-Forwarded-Host', 'X-Host', 'X-Original-Host', 'Forwarded', 'X-HTTP-Host-Override']) {
      const value = name === 'Forwarded' ? 'host=a.internal.example' : 'a.internal.example'
      expect((await ask('/x', { headers: `${name}: ${value}\r\n` })).told).toBe('200 seen: GET /x')
      const heads = JSON.stringify(upstream.seen().map(({ headers }) => headers))
      expect(heads).not.toContain('internal.example')
    }
  })

  test('a header that names the guarded path is not passed on', async () => {
    for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X_Original_URL', 'X-Forwarded-Uri', 'X-Forwarded-Path']) {
      expect((await ask('/x', { headers: `${name}: /admin/keys\r\n` })).told).toBe('200 seen: GET /x')
    }
    expect(JSON.stringify(upstream.seen().map(({ headers }) => headers))).not.toContain('/admin/keys')
  })
})

describe('a guarded method wants a token, also when a header names it', () => {
  test('the method itself', async () => {
    expect((await ask('/items/1', { method: 'DELETE' })).told).toBe('401 token_required')
    expect((await ask('/items/1', { method: 'DELETE', ...withToken() })).told).toBe('200 seen: DELETE /items/1')
    expect((await ask('/items/1', { method: 'PATCH' })).told).toBe('405 method_not_allowed')
  })

  test.each([
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
    'X-Method-Override',
    'X_HTTP_Method_Override',
    'x-http.method',
  ])('%s', async (name) => {
    for (const value of [
      'DELETE',
      'delete',
      'GET, DELETE',
      'DELETE,GET',
      ' Delete ',
      'PATCH',
      'DELETE;x',
      'GET\r\nX-Method-Override: DELETE',
    ]) {
      for (const method of ['GET', 'POST', 'HEAD']) {
        const { told, seen } = await ask('/items/1', { method, headers: `${name}: ${value}\r\n` })
        if (method !== 'HEAD') expect(told).toBe('400 ambiguous_target')
        expect(seen).toEqual([])
      }
    }
  })
})

/** What reached the upstream is no guarded path to any server. */
function expectOpen(seen: readonly string[]): void {
  const table = [...open, ...guarded]
  for (const line of seen) {
    const owners = servedPaths(line.slice(line.indexOf(' ') + 1)).map(({ path }) => ownerOf(path, table)?.admission)
    expect(owners).not.toContain('token')
  }
}
