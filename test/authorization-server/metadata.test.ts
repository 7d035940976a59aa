import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { AuthorizationServer } from '../../src/authorization-server/authorization-server.ts'
import {
  answerBroken,
  answerWith,
  type AuthorizationServer as RealServer,
  startAuthorizationServer,
} from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'
import { createServer, failureOf } from './asking.ts'

const invalid = 'authorization_server_invalid_response'
const unavailable = 'authorization_server_unavailable'
const hour = 3_600_000

let site: Upstream
let clock: TestClock
let server: AuthorizationServer | undefined

beforeEach(async () => {
  site = await startUpstream(answerWith(404, 'no such page'))
  clock = createTestClock()
})
afterEach(async () => {
  await server?.close()
  await site.stop()
})

/** A server whose metadata has to be found. */
function serverOf(issuer: string, more: Readonly<Record<string, unknown>> = {}): AuthorizationServer {
  server = createServer({ issuer, ...more }, clock)
  return server
}

/** Answers each path with its document, and every other one with 404. */
function publish(documents: Readonly<Record<string, object | UpstreamHandler>>): void {
  site.answer((request, response, seen) => {
    const document = documents[seen.url]
    if (typeof document === 'function') return document(request, response, seen)
    return answerWith(document ? 200 : 404, document ?? 'no such page')(request, response)
  })
}

const paths = () => site.requests.map(({ url }) => url)

describe('where the metadata is looked for', () => {
  it('is between host and path of the issuer (RFC 8414)', async () => {
    const issuer = `${site.url}/realms/one`
    publish({ '/.well-known/oauth-authorization-server/realms/one': { issuer, token_endpoint: `${issuer}/token` } })
    expect(await serverOf(issuer).endpoint('token_endpoint')).toBe(`${issuer}/token`)
    expect(paths()).toEqual(['/.well-known/oauth-authorization-server/realms/one'])
    expect(site.requests[0]?.headers.accept).toBe('application/json')
  })

  it('is then behind the path, as OpenID Connect has it', async () => {
    const issuer = `${site.url}/realms/one`
    publish({ '/realms/one/.well-known/openid-configuration': { issuer, jwks_uri: `${issuer}/certs` } })
    expect(await serverOf(issuer).endpoint('jwks_uri')).toBe(`${issuer}/certs`)
    expect(paths()).toEqual([
      '/.well-known/oauth-authorization-server/realms/one',
      '/realms/one/.well-known/openid-configuration',
    ])
  })

  it('has no second slash where the issuer ends with one, and the issuer keeps its own', async () => {
    const issuer = `${site.url}/tenant/`
    publish({ '/tenant/.well-known/openid-configuration': { issuer, token_endpoint: `${issuer}token` } })
    expect(await serverOf(issuer).endpoint('token_endpoint')).toBe(`${issuer}token`)
    expect(paths()[0]).toBe('/.well-known/oauth-authorization-server/tenant')
  })

  it('is the one URL that is configured, and no other', async () => {
    const issuer = 'https://sso.example.com/realms/one'
    const url = `${site.url}/internal/metadata?of=one`
    publish({ '/internal/metadata?of=one': { issuer, token_endpoint: `${issuer}/token` } })
    expect(await serverOf(issuer, { discovery_url: url }).endpoint('token_endpoint')).toBe(`${issuer}/token`)
    publish({})
    const { code, options } = await failureOf(serverOf(issuer, { discovery_url: url }).endpoint('jwks_uri'))
    expect(code).toBe(invalid)
    // The query is not told: a key may stand in it.
    expect(options.reason).toBe(`discovery at ${site.url}/internal/metadata was answered with 404`)
    expect(paths()).toEqual(['/internal/metadata?of=one', '/internal/metadata?of=one'])
  })

  it('a page that is shown for every unknown path counts as not there', async () => {
    const issuer = site.url
    publish({
      '/.well-known/oauth-authorization-server': answerWith(200, '<h1>Welcome</h1>'),
      '/.well-known/openid-configuration': { issuer, token_endpoint: `${issuer}/token` },
    })
    expect(await serverOf(issuer).endpoint('token_endpoint')).toBe(`${issuer}/token`)
  })

  it('is found on a real authorization server', async () => {
    const sso: RealServer = await startAuthorizationServer()
    onTestFinished(() => sso.stop())
    const real = serverOf(sso.issuer)
    expect(await real.endpoint('token_endpoint')).toBe(sso.tokenEndpoint)
    expect(await real.endpoint('jwks_uri')).toBe(sso.jwksUri)
    expect(sso.requestsTo('discovery')).toHaveLength(1)
  })
})

describe('what is configured wins', () => {
  it('given endpoints need no discovery, and no issuer either', async () => {
    const given = { token_endpoint: `${site.url}/given`, jwks_uri: `${site.url}/keys` }
    expect(await serverOf(site.url, given).endpoint('token_endpoint')).toBe(given.token_endpoint)
    const without = createServer(given)
    expect(await without.endpoint('jwks_uri')).toBe(given.jwks_uri)
    await without.close()
    expect(site.requests).toHaveLength(0)
  })

  it('what is not given is discovered', async () => {
    const issuer = site.url
    const found = { issuer, token_endpoint: `${issuer}/found`, jwks_uri: `${issuer}/keys` }
    publish({ '/.well-known/oauth-authorization-server': found })
    const mixed = serverOf(issuer, { token_endpoint: `${issuer}/given` })
    expect(await mixed.endpoint('jwks_uri')).toBe(found.jwks_uri)
    expect(await mixed.endpoint('token_endpoint')).toBe(`${issuer}/given`)
  })

  it('what did not serve is discovered anew, and stays if that fails', async () => {
    const issuer = site.url
    const place = '/.well-known/oauth-authorization-server'
    publish({ [place]: { issuer, jwks_uri: `${issuer}/old` } })
    const moving = serverOf(issuer)
    expect(await moving.endpoint('jwks_uri')).toBe(`${issuer}/old`)
    publish({})
    expect(await moving.endpoint('jwks_uri', { anew: true })).toBe(`${issuer}/old`)
    await clock.advance(1000)
    publish({ [place]: { issuer, jwks_uri: `${issuer}/moved` } })
    expect(await moving.endpoint('jwks_uri')).toBe(`${issuer}/old`)
    expect(await moving.endpoint('jwks_uri', { anew: true })).toBe(`${issuer}/moved`)
    expect(await moving.endpoint('jwks_uri')).toBe(`${issuer}/moved`)
    expect(await serverOf(issuer, { jwks_uri: `${issuer}/given` }).endpoint('jwks_uri', { anew: true })).toBe(
      `${issuer}/given`,
    )
    expect(paths()).toHaveLength(4)
  })

  it('what is neither given nor discovered is told by its name', async () => {
    publish({ '/.well-known/oauth-authorization-server': { issuer: site.url } })
    const error = await failureOf(serverOf(site.url).endpoint('token_endpoint'))
    expect([error.code, error.options.reason]).toEqual([invalid, 'sso has no token_endpoint'])
    const without = createServer({ token_endpoint: site.url })
    expect((await failureOf(without.endpoint('jwks_uri'))).options.reason).toBe('sso has no jwks_uri')
    await without.close()
  })
})

describe('metadata that is not believed', () => {
  const documents: Record<string, [document: unknown, reason: RegExp]> = {
    'of another issuer': [
      { issuer: 'https://evil.example', token_endpoint: 'https://evil.example/t' },
      /evil\.example/,
    ],
    'of an issuer that ends with a slash, where ours does not': [{ issuer: '/' }, /of the issuer/],
    'of no issuer': [{ token_endpoint: 'https://evil.example/t' }, /of the issuer undefined/],
    'that is a list': [[], /of the issuer undefined/],
  }
  for (const [what, [document, reason]] of Object.entries(documents)) {
    const published = () => (Object(document).issuer === '/' ? { issuer: `${site.url}/` } : Object(document))

    it(`${what}: 502, and it is told rather than that the other place has none`, async () => {
      publish({ '/.well-known/oauth-authorization-server': published() })
      const error = await failureOf(serverOf(site.url).endpoint('token_endpoint'))
      expect([error.code, error.status]).toEqual([invalid, 502])
      expect(error.options.reason).toMatch(reason)
    })

    it(`${what} does not speak for the other place`, async () => {
      publish({
        '/.well-known/oauth-authorization-server': published(),
        '/.well-known/openid-configuration': { issuer: site.url, token_endpoint: `${site.url}/token` },
      })
      expect(await serverOf(site.url).endpoint('token_endpoint')).toBe(`${site.url}/token`)
    })
  }

  it('an endpoint over plain http is never used, unless allow_http says so', async () => {
    const issuer = site.url
    const found = { issuer, token_endpoint: 'http://sso.example.com/token', jwks_uri: 'ftp://sso.example.com/keys' }
    publish({ '/.well-known/oauth-authorization-server': found })
    const error = await failureOf(serverOf(issuer).endpoint('token_endpoint'))
    expect([error.code, error.options.reason]).toEqual([
      invalid,
      'the token_endpoint of sso is reached over plain http',
    ])
    const other = await failureOf(serverOf(issuer).endpoint('jwks_uri'))
    expect([other.code, other.options.reason]).toEqual([invalid, 'the jwks_uri of sso is neither https nor http'])
    expect(await serverOf(issuer, { allow_http: true }).endpoint('token_endpoint')).toBe(found.token_endpoint)
  })

  it('an endpoint that is no URL is none', async () => {
    const found = { issuer: site.url, token_endpoint: '/token', jwks_uri: 42 }
    publish({ '/.well-known/oauth-authorization-server': found })
    expect((await failureOf(serverOf(site.url).endpoint('token_endpoint'))).code).toBe(invalid)
    expect((await failureOf(serverOf(site.url).endpoint('jwks_uri'))).code).toBe(invalid)
  })

  it('redirects are not followed: they could lead to a server that nobody configured', async () => {
    const elsewhere = answerWith(302, '', { location: '/elsewhere' })
    publish({ '/.well-known/oauth-authorization-server': elsewhere, '/elsewhere': { issuer: site.url } })
    expect((await failureOf(serverOf(site.url).endpoint('token_endpoint'))).code).toBe(invalid)
    expect(paths()).not.toContain('/elsewhere')
  })

  for (const status of [500, 503, 429]) {
    it(`status ${status} is an outage (503) if the other place has nothing`, async () => {
      publish({ '/.well-known/oauth-authorization-server': answerWith(status, 'busy') })
      const error = await failureOf(serverOf(site.url).endpoint('token_endpoint'))
      expect([error.code, error.options.retryAfterSeconds]).toEqual([unavailable, 1])
      expect(error.options.reason).toBe(
        `discovery at ${site.url}/.well-known/oauth-authorization-server was answered with ${status}; discovery at ${site.url}/.well-known/openid-configuration was answered with 404`,
      )
    })
  }

  const failing: Record<string, UpstreamHandler> = {
    'answers 503': answerWith(503, 'no such backend', { 'retry-after': '120' }),
    'answers 429': answerWith(429, 'busy'),
    'has more than anybody reads': answerWith(200, 'x'.repeat(1024 * 1024 + 1)),
  }
  for (const [what, answer] of Object.entries(failing)) {
    it(`a place that ${what} does not speak for the other one`, async () => {
      publish({
        '/.well-known/oauth-authorization-server': answer,
        '/.well-known/openid-configuration': { issuer: site.url, token_endpoint: `${site.url}/token` },
      })
      expect(await serverOf(site.url).endpoint('token_endpoint')).toBe(`${site.url}/token`)
    })
  }

  it('an outage at the second place is told, and not that the first one has none', async () => {
    publish({ '/.well-known/openid-configuration': answerWith(503, 'busy', { 'retry-after': '7' }) })
    const error = await failureOf(serverOf(site.url).endpoint('token_endpoint'))
    expect([error.code, error.options.retryAfterSeconds]).toEqual([unavailable, 7])
  })

  it('a connection that breaks is an outage, and the next place is not asked', async () => {
    site.answer(answerBroken)
    expect((await failureOf(serverOf(site.url).endpoint('token_endpoint'))).code).toBe(unavailable)
    expect(site.requests).toHaveLength(1)
  })
})

describe('how often the metadata is asked for', () => {
  const found = () => ({ issuer: site.url, token_endpoint: `${site.url}/token`, jwks_uri: `${site.url}/keys` })
  const change = (document: object) => publish({ '/.well-known/oauth-authorization-server': document })

  it('once, however many ask at once and whatever for', async () => {
    change(found())
    const one = serverOf(site.url)
    const asked = Array.from({ length: 100 }, (_, index) => one.endpoint(index % 2 ? 'token_endpoint' : 'jwks_uri'))
    expect(new Set(await Promise.all(asked))).toEqual(new Set([`${site.url}/token`, `${site.url}/keys`]))
    await one.endpoint('token_endpoint')
    expect(site.requests).toHaveLength(1)
  })

  it('not at all before it is needed', async () => {
    serverOf(site.url)
    await clock.advance(hour * 2)
    expect(site.requests).toHaveLength(0)
  })

  it('a failure is the answer for a second, however many ask', async () => {
    site.answer(answerBroken)
    const one = serverOf(site.url)
    const ask = () => failureOf(one.endpoint('token_endpoint'))
    await Promise.all(Array.from({ length: 50 }, ask))
    await clock.advance(999)
    expect((await ask()).code).toBe(unavailable)
    expect(site.requests).toHaveLength(1)
    change(found())
    await clock.advance(1)
    expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/token`)
    expect(site.requests).toHaveLength(2)
  })

  it('not again before the server wants it, by the longer Retry-After of both places', async () => {
    publish({
      '/.well-known/oauth-authorization-server': answerWith(503, 'busy', { 'retry-after': '120' }),
      '/.well-known/openid-configuration': answerWith(503, 'busy', { 'retry-after': '20' }),
    })
    const one = serverOf(site.url)
    const pause = async () => (await failureOf(one.endpoint('token_endpoint'))).options.retryAfterSeconds
    expect(await pause()).toBe(120)
    await clock.advance(119_000)
    expect(await pause()).toBe(1)
    expect(site.requests).toHaveLength(2)
    change(found())
    await clock.advance(1000)
    expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/token`)
  })

  it('not for who wants to know only what is known', async () => {
    change({ ...found(), mtls_endpoint_aliases: { token_endpoint: `${site.url}/mtls` } })
    const one = serverOf(site.url, { jwks_uri: `${site.url}/given` })
    const certificate = { read: expect.unreachable, recent: expect.unreachable, fault: () => undefined }
    expect([one.known('token_endpoint'), one.known('jwks_uri')]).toEqual([undefined, `${site.url}/given`])
    expect(site.requests).toHaveLength(0)
    await one.endpoint('token_endpoint')
    expect(one.known('token_endpoint')).toBe(`${site.url}/token`)
    expect(one.known('token_endpoint', { certificate })).toBe(`${site.url}/mtls`)
  })

  it('anew after an hour, in the background', async () => {
    change(found())
    const one = serverOf(site.url)
    await one.endpoint('token_endpoint')
    change({ ...found(), token_endpoint: `${site.url}/moved` })
    await clock.advance(hour)
    expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/token`)
    expect(site.requests).toHaveLength(1)
    await clock.advance(1)
    expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/token`)
    await vi.waitFor(async () => expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/moved`), {
      interval: 5,
      timeout: 5000,
    })
    expect(site.requests).toHaveLength(2)
  })

  it('what was found goes on through an outage, and the server is asked again once a second at most', async () => {
    change(found())
    const one = serverOf(site.url)
    await one.endpoint('token_endpoint')
    site.answer(answerBroken)
    await clock.advance(hour + 1)
    const still = async (count: number) => {
      await Promise.all(Array.from({ length: 20 }, () => one.endpoint('token_endpoint')))
      await vi.waitFor(() => expect(site.requests).toHaveLength(count), { interval: 5, timeout: 5000 })
      // The failure has to arrive before the next ask: nothing tells when, but a turn of the event loop or two.
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await one.endpoint('token_endpoint')).toBe(`${site.url}/token`)
      expect(site.requests).toHaveLength(count)
    }
    await still(2)
    await clock.advance(999)
    await still(2)
    await clock.advance(1)
    await still(3)
  })
})
