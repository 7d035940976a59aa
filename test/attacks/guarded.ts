import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import type { WireRequest } from '../harness/strict-http.ts'
import { type StrictUpstream, startStrictUpstream } from '../harness/strict-upstream.ts'

/** Stands in whatever an attacker hides: it may reach the upstream within a body, and nowhere else. */
export const marker = 'x-hidden-marker'

/** The request that an attack wants to have served: nobody without a token may. */
export const hidden = `GET /admin/keys HTTP/1.1\r\nHost: a\r\n${marker}: yes\r\n\r\n`

/** A piece of a body in chunks. */
export const chunk = (data: string) => `${data.length.toString(16)}\r\n${data}\r\n`

export interface RawCase {
  readonly name: string
  readonly bytes: string | ((token: string) => string)
  /** What comes back, in order: `400 malformed_request`, or `200 seen: GET /open/a`. */
  readonly answers: readonly string[]
  /** Every whole request that reaches the upstream, as `GET /open/a` or, with a body, `POST /open/a: body`. */
  readonly seen?: readonly string[]
  /** A request that may have begun to reach it, and is never whole. */
  readonly mayBegin?: string
  /** The gateway closes the connection behind the last answer, though it is no error. */
  readonly closes?: true
  /** The caller goes away once it has sent everything. Otherwise, where an error is the last answer, the gateway closes. */
  readonly leaves?: true
}

/** A sequence that is answered with an error, on a connection that is closed behind it; the upstream sees nothing of it. */
export function refused(name: string, bytes: RawCase['bytes'], answer = '400 malformed_request'): RawCase {
  return { name, bytes, answers: [answer] }
}

/** One whole request for `/open/a` with these header lines. */
export const get = (lines: string, target = '/open/a') => `GET ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`
export const post = (lines: string, body = '') => `POST /open/a HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${body}`

/**
 * A gateway whose `/open/**` is for everybody and whose `/admin/**` for those with a token, before one upstream that
 * reads bytes by the letter. Each case is a test: the answers are these, the upstream has seen exactly what is allowed,
 * and the next caller is served as ever.
 */
export function testRawCases(cases: readonly RawCase[]): void {
  let sso: AuthorizationServer
  let upstream: StrictUpstream
  let gateway: RunningGateway
  let token = ''
  const allAllowed: string[] = []
  const begun = new Set<string>()
  let turn = 0

  beforeAll(async () => {
    sso = await startAuthorizationServer()
    upstream = await startStrictUpstream()
    gateway = await startGateway(`
listeners: { main: { timeouts: { headers: 1s, body_idle: 300ms } } }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
routes:
  - { path: /open/**, public: true, upstream: "${upstream.url}" }
  - { path: /admin/**, require: any_token, upstream: "${upstream.url}" }
`)
    token = await sso.issueToken()
  })
  afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))

  test.each(cases)('$name', async (each) => {
    const before = wholeSeen()
    const bytes = typeof each.bytes === 'string' ? each.bytes : each.bytes(token)
    const count = each.answers.length
    const refusal = each.closes ?? (!each.leaves && /^[45]/.test(each.answers.at(-1) ?? '4'))
    const received = await exchange(gateway.port, bytes, (text) =>
      each.leaves ? true : !refusal && parseAnswers(text).filter(({ complete }) => complete).length >= count,
    )
    const answers = parseAnswers(received)
    expect(answers.map(tell)).toEqual(each.answers)
    if (refusal && count > 0) expect(answers.at(-1)?.headers.connection).toBe('close')
    if (each.mayBegin !== undefined) begun.add(each.mayBegin)
    const control = `/open/next-${++turn}`
    const next = await exchange(gateway.port, get('Connection: close', control), () => false)
    expect(parseAnswers(next).map(tell)).toEqual([`200 seen: GET ${control}`])
    const allowed = [...(each.seen ?? []), `GET ${control}`]
    allAllowed.push(...allowed)
    expect(wholeSeen()).toEqual([...before, ...allowed].sort())
    expectNothingHidden()
  })

  // What is on its way when a connection is cut may arrive later; here it has had time to.
  test('and in the end nothing else has reached the upstream', () => {
    expect(wholeSeen()).toEqual(allAllowed.sort())
    expectNothingHidden()
  })

  function wholeSeen(): string[] {
    const whole = upstream.seen().filter(({ complete }) => complete)
    return whole.map(show).sort()
  }
  function expectNothingHidden(): void {
    for (const request of upstream.seen()) {
      const head = headOf(request)
      expect(head).not.toContain(marker)
      if (/admin/i.test(head)) expect(head).toContain(`Bearer ${token}`)
      if (!request.complete) expect(begun).toContain(`${request.method} ${request.target}`)
    }
  }
}

function headOf({ method, target, headers }: WireRequest): string {
  return JSON.stringify([method, target, headers])
}

function show({ method, target, body }: WireRequest): string {
  return body === '' ? `${method} ${target}` : `${method} ${target}: ${body}`
}

function tell({ status, body }: { readonly status: number; readonly body: string }): string {
  return `${status} ${/"code":"(\w+)"/.exec(body)?.[1] ?? body}`
}

/** Sends bytes and gives back all that came until the connection was closed; ends its own side once `over` says so. */
export function exchange(port: number, bytes: string, over: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the connection was not closed, but: ${JSON.stringify(received)}`))
    }, 4000)
    const look = () => over(received) && socket.end()
    socket.write(bytes, 'latin1', look)
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1')
      look()
    })
    socket.on('end', () => socket.end())
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(received)
    })
  })
}
