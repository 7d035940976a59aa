import { vi } from 'vitest'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, type RawAnswer } from '../harness/raw-client.ts'
import { type StrictUpstream, startStrictUpstream } from '../harness/strict-upstream.ts'
import { createToken, type Members, type SigningKey } from '../harness/tokens.ts'
import { audience, issuer, parts } from '../ingress/verifier.ts'
import { createKeeper } from '../proxy/keep.ts'

/** A gateway of which `/any/**` requires a token of one server, and `/public/**` requires none. */
export interface KeyGate {
  readonly clock: TestClock
  readonly gateway: RunningGateway
  readonly upstream: StrictUpstream
  /** A token that lives for three days. */
  token(key: SigningKey, parts?: { readonly claims?: Members; readonly header?: Members }): string
  send(token: string, path?: string): Promise<RawAnswer>
  /** The status for a token. */
  status(token: string): Promise<number>
  /** The targets that the upstream has seen. */
  seen(): string[]
  /** Waits until a log line stands there so many times: that a fetch in the background is over. */
  logged(message: string, times?: number): Promise<void>
}

const threeDays = 3 * 86_400

export function createKeyGates() {
  const { keep } = createKeeper()

  /** Starts one that fetches its keys from there, and that gives up on a fetch soon. */
  async function startKeyGate(jwks: string, keys: Members = {}): Promise<KeyGate> {
    const clock = createTestClock()
    const upstream = await keep(startStrictUpstream())
    const config = {
      authorization_servers: {
        sso: { issuer, jwks_uri: jwks, timeout: '300ms', keys, access_tokens: { audience } },
      },
      routes: [
        { path: '/any/**', require: 'any_token', upstream: upstream.url },
        { path: '/public/**', public: true, upstream: upstream.url },
      ],
    }
    const gateway = await keep(startGateway(JSON.stringify(config), { clock }))
    const exp = Math.floor(clock.now() / 1000) + threeDays
    let turn = 0
    const send = (token: string, path = `/any/${++turn}`) =>
      ask(
        gateway.port,
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      )
    return {
      clock,
      gateway,
      upstream,
      token: (key, { claims = {}, header = {} } = {}) =>
        createToken(key, parts({ claims: { exp, ...claims }, header })),
      send,
      status: async (token) => (await send(token)).status,
      seen: () => upstream.seen().map(({ target }) => target),
      logged: (message, times = 1) =>
        vi.waitFor(
          () => {
            const count = gateway.log.find({ msg: message }).length
            if (count < times) throw new Error(`"${message}" was logged ${count} times`)
          },
          { interval: 5, timeout: 5000 },
        ),
    }
  }
  return { keep, startKeyGate }
}
