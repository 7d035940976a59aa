import { expect, vi } from 'vitest'
import type { Clock } from '../../src/base/clock.ts'
import { createLog } from '../../src/base/log.ts'
import { clientOptions, type TokenOptions } from '../../src/egress/client.ts'
import { createTokenCache, tokenCacheOptions } from '../../src/egress/token-cache/index.ts'
import { createTokenRequest, type TokenRequest } from '../../src/egress/token-request.ts'
import { createTokenSource, type TokenSource } from '../../src/egress/token-source.ts'
import { createServer } from '../authorization-server/asking.ts'
import { answerBroken } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { createTestLog, type TestLog } from '../harness/logs.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'

/** Which token, in the words of the configuration. */
export interface Wish {
  readonly client?: Readonly<Record<string, unknown>>
  readonly route?: Partial<TokenOptions>
}

/** A token source at a real token endpoint, whose time stands still until the test turns it. */
export interface Bench {
  readonly endpoint: Upstream
  readonly clock: TestClock
  readonly log: TestLog
  readonly source: TokenSource
  request(wish?: Wish): TokenRequest
  /** The number of the token that comes, and where it came from. */
  get(request: TokenRequest, signal?: AbortSignal): Promise<[number: number, source: string]>
  /** From now on each token comes with these fields. */
  issue(fields: Readonly<Record<string, unknown>>): void
  /** From now on every request is kept waiting; the function that it gives back answers all of them. */
  hold(): () => void
  /** From now on breaks every connection. */
  fail(): void
  /** Waits until so many requests have come in all, and the renewal timers stand as they should. */
  arrived(requests: number, timers?: number): Promise<void>
  stop(): Promise<void>
}

export interface BenchWish {
  /** For time that goes by itself. */
  readonly clock?: Clock
  readonly cacheOptions?: Readonly<Record<string, string>>
  /** From 0 to 1; 0 renews as early as may be. */
  readonly random?: () => number
}

export async function startBench({
  clock: given,
  cacheOptions = {},
  random = () => 0,
}: BenchWish = {}): Promise<Bench> {
  const clock = createTestClock()
  const log = createTestLog()
  let issued = 0
  let fields: Readonly<Record<string, unknown>> = { expires_in: 300 }
  const issue: UpstreamHandler = (request, response) => {
    request.resume()
    issued += 1
    const token = { access_token: registerSecret(`token-number-${issued}`), token_type: 'Bearer', ...fields }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(token))
  }
  const endpoint = await startUpstream(issue)
  const server = createServer({ token_endpoint: `${endpoint.url}/token` }, given ?? clock)
  const options = tokenCacheOptions.parse(cacheOptions)
  const cache = createTokenCache(options, { clock: given ?? clock, log: createLog(log) })
  const source = createTokenSource({ clock: given ?? clock, log: createLog(log), cache, options, random })
  const secret = createSecret()
  return {
    endpoint,
    clock,
    log,
    source,
    request({ client = {}, route = {} } = {}) {
      const parsed = clientOptions.parse({
        authorization_server: 'sso',
        client_id: 'service',
        ...(client.token_endpoint_auth_method === undefined && { client_secret: secret }),
        ...client,
      })
      return createTokenRequest({ name: 'service', client: parsed, server, token: route, cache })
    },
    async get(request, signal) {
      const { token, source: where } = await source.get(request, signal)
      return [Number(/^token-number-(\d+)$/.exec(token.value.read())?.[1]), where]
    },
    issue(next) {
      fields = next
      endpoint.answer(issue)
    },
    hold() {
      const held: (() => void)[] = []
      endpoint.answer((...exchange) => void held.push(() => issue(...exchange)))
      return () => {
        endpoint.answer(issue)
        for (const answer of held) answer()
      }
    },
    fail: () => endpoint.answer(answerBroken),
    async arrived(requests, timers) {
      await vi.waitFor(
        () => {
          expect(endpoint.requests).toHaveLength(requests)
          if (timers !== undefined) expect(clock.pendingTimers()).toBe(timers)
        },
        { interval: 5, timeout: 5000 },
      )
    },
    async stop() {
      source.close()
      await Promise.all([server.close(), endpoint.stop()])
    },
  }
}
