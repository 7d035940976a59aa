import { afterAll, beforeAll, expect } from 'vitest'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import { type StrictUpstream, startStrictUpstream } from '../harness/strict-upstream.ts'
import { createToken, type Members, type SigningKey } from '../harness/tokens.ts'
import { audience, issuer, parts } from '../ingress/verifier.ts'
import { exchange } from './guarded.ts'

/** A server that is trusted, and what it publishes as its keys. */
export interface GateServer {
  readonly name?: string
  readonly issuer?: string
  readonly keys: readonly (SigningKey | object)[]
  /** The `access_tokens` block, as it stands in the file. */
  readonly options?: Members
}

export interface GateWish {
  readonly servers: readonly GateServer[]
  /** The key of the first server that signs the good tokens. */
  readonly key: SigningKey
  /** Routes beside `/guarded/**`, which requires `customer.read`. */
  readonly routes?: readonly Members[]
  readonly good?: Members
}

/** What the gateway says to a caller whom it refuses. */
export interface Refusal {
  readonly status: string
  readonly code: string
  readonly detail: string
  /** What stands behind `Bearer realm="scopegate"`; `null` where there is no challenge. */
  readonly challenge: string | null
  /** The request could not be read, and has got no id. */
  readonly unread?: true
}

const badToken = 'The access token is malformed, expired, revoked, or not meant for this service.'
export const refusals = {
  invalidToken: {
    status: '401 Unauthorized',
    code: 'invalid_token',
    detail: badToken,
    challenge: `, error="invalid_token", error_description="${badToken}"`,
  },
  tokenRequired: {
    status: '401 Unauthorized',
    code: 'token_required',
    detail: 'An access token is required: Authorization: Bearer.',
    challenge: '',
  },
  twoTokens: {
    status: '400 Bad Request',
    code: 'invalid_request',
    detail: 'The access token was sent in more than one way.',
    challenge: ', error="invalid_request", error_description="The access token was sent in more than one way."',
  },
  duplicateHeader: {
    status: '400 Bad Request',
    code: 'duplicate_header',
    detail: 'A header that may stand only once stands more than once.',
    challenge: null,
  },
  malformedRequest: {
    status: '400 Bad Request',
    code: 'malformed_request',
    detail: 'The request is not well-formed HTTP.',
    challenge: null,
    unread: true,
  },
  headersTooLarge: {
    status: '431 Request Header Fields Too Large',
    code: 'headers_too_large',
    detail: 'The request headers are larger, or more, than this listener accepts.',
    challenge: null,
    unread: true,
  },
  claimRequired: {
    status: '403 Forbidden',
    code: 'claim_required',
    detail: 'The access token lacks a claim that this route requires.',
    challenge: null,
  },
} as const satisfies Record<string, Refusal>

/** The scope of the route is named; of a route that asks for any of several, none is. */
export function scopeLacking(scope?: string): Refusal {
  const detail = 'The access token does not have the scope that this route requires.'
  const named = scope === undefined ? '' : `, scope="${scope}"`
  const challenge = `, error="insufficient_scope", error_description="${detail}"${named}`
  return { status: '403 Forbidden', code: 'insufficient_scope', detail, challenge }
}

export interface Attack {
  /** The header lines that may bring a token. */
  readonly lines: string
  readonly reason: RegExp
  readonly refusal?: Refusal
  readonly target?: string
  readonly method?: string
  readonly body?: string
}

/** A running gateway whose upstream has seen what it may and nothing else, as each call makes sure. */
export interface TokenGate {
  readonly clock: TestClock
  readonly keyServer: KeyServer
  /** A token is refused twice, to the byte as every other bad one; in between a good one passes as ever. */
  refuses(token: string, reason: RegExp, refusal?: Refusal, target?: string): Promise<void>
  /** The same for a whole request. */
  refusesRequest(attack: Attack): Promise<void>
  /** A token passes, and the upstream has seen its caller's request and nothing else. */
  passes(token: string, target?: string): Promise<void>
  /** The same for a whole request; `seen` is the Authorization header that the upstream gets. */
  passesRequest(request: { readonly lines: string; readonly seen: string; readonly body?: string }): Promise<void>
  readonly goodToken: string
}

interface Passing {
  readonly lines: string
  readonly seen: string
  readonly body?: string | undefined
  readonly target?: string | undefined
}

/** Starts a gateway for the tests of a file, and at their end looks once more at all that has reached its upstream. */
export function guardTokens({ servers, key, routes = [], good = {} }: GateWish): TokenGate {
  const clock = createTestClock()
  const goodToken = createToken(key, parts({ claims: good }))
  const keyServers: KeyServer[] = []
  const allowed: string[] = []
  let upstream: StrictUpstream
  let gateway: RunningGateway
  let turn = 0

  beforeAll(async () => {
    upstream = await startStrictUpstream()
    const blocks: [string, object][] = []
    for (const { name = 'sso', issuer: own = issuer, keys, options = {} } of servers) {
      const keyServer = await startKeyServer(name, ...keys.map(published))
      keyServers.push(keyServer)
      const jwks = await keyServer.server.endpoint('jwks_uri')
      blocks.push([name, { issuer: own, jwks_uri: jwks, access_tokens: { audience, ...options } }])
    }
    const all = [{ path: '/guarded/**', require: { scopes: ['customer.read'] } }, ...routes]
    const config = {
      listeners: { main: { limits: { header_size: '64KiB' } } },
      authorization_servers: Object.fromEntries(blocks),
      routes: all.map((route) => ({ ...route, upstream: upstream.url })),
    }
    gateway = await startGateway(JSON.stringify(config), { clock })
    await passes(goodToken)
  })
  afterAll(async () => {
    await Promise.all([gateway, upstream, ...keyServers].map((running) => running.stop()))
    // What is on its way when a connection is cut may arrive later; here it has had time to.
    expect(upstream.seen().map(show).sort()).toEqual(allowed.sort())
  })

  const passes = (token: string, target?: string) =>
    passesRequest({ lines: `Authorization: Bearer ${token}\r\n`, seen: `Bearer ${token}`, target })

  async function passesRequest({ lines, seen, body, target = `/guarded/good-${++turn}` }: Passing): Promise<void> {
    const method = body === undefined ? 'GET' : 'POST'
    const before = upstream.answered.length
    const received = await send(method, target, lines, body)
    expect(received).toMatch(/^HTTP\/1\.1 200 /)
    expect(received.endsWith(`seen: ${method} ${target}`)).toBe(true)
    expect(upstream.answered.slice(before).map(show)).toEqual([`${method} ${target} ${seen}`])
    allowed.push(`${method} ${target} ${seen}`)
  }

  async function refusesRequest(attack: Attack): Promise<void> {
    const { lines, reason, refusal = refusals.invalidToken, method = 'GET', body = '' } = attack
    const { target = `/guarded/bad-${++turn}` } = attack
    const before = upstream.answered.length
    expect(await send(method, target, lines, body)).toBe(answerOf(refusal))
    const [line] = gateway.log.entries().slice(-1)
    expect(line).toMatchObject({ code: refusal.code })
    expect(String(line?.reason)).toMatch(reason)
    for (const piece of `${lines} ${target}`.split(/[\s.,;=/]+/).filter((text) => text.length > 40))
      expect(JSON.stringify(line)).not.toContain(piece)
    await passes(goodToken)
    // What is bad stays so: it has not been remembered either.
    expect(await send(method, target, lines, body)).toBe(answerOf(refusal))
    expect(upstream.answered.slice(before)).toHaveLength(1)
  }

  async function send(method: string, target: string, lines: string, body = ''): Promise<string> {
    const bytes = `${method} ${target} HTTP/1.1\r\nHost: a\r\n${lines}Connection: close\r\n\r\n${body}`
    const received = await exchange(gateway.port, bytes, () => false)
    return received
      .replace(/^Date: .*\r\n/m, '')
      .replace(/^connection/m, 'Connection')
      .replace(/"request_id":"[0-9a-f-]{36}"/, `"request_id":"${someId}"`)
  }

  return {
    clock,
    get keyServer() {
      const [first] = keyServers
      if (!first) throw new TypeError('there is no server yet')
      return first
    },
    goodToken,
    passes,
    passesRequest,
    refusesRequest,
    refuses: (token, reason, refusal = refusals.invalidToken, target) =>
      refusesRequest({
        lines: `Authorization: Bearer ${token}\r\n`,
        reason,
        refusal,
        ...(target !== undefined && { target }),
      }),
  }
}

function published(key: SigningKey | object): object {
  return 'jwk' in key ? (key.jwk as object) : key
}

function show({ method, target, headers }: ReturnType<StrictUpstream['seen']>[number]): string {
  const tokens = headers.filter(([name]) => /authorization/i.test(name)).map(([, value]) => value)
  return [method, target, ...tokens].join(' ')
}

const someId = 'x'.repeat(36)

/** Every byte of it but the date and the request's id. */
function answerOf({ status, code, detail, challenge, unread }: Refusal): string {
  const [number, ...title] = status.split(' ')
  const id = unread ? {} : { request_id: someId }
  const body = JSON.stringify({ title: title.join(' '), status: Number(number), code, detail, ...id })
  const head = [
    `HTTP/1.1 ${status}`,
    'content-type: application/problem+json',
    `content-length: ${body.length}`,
    'cache-control: no-store',
    ...(challenge === null ? [] : [`www-authenticate: Bearer realm="scopegate"${challenge}`]),
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
