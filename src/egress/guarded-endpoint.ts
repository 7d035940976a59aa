import { TransportFault } from '../authorization-server/http-client.ts'
import type { IssuedToken } from '../authorization-server/token-endpoint.ts'
import { TokenRefusal } from '../authorization-server/token-refusal.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { createFailureMemory } from './failure-memory.ts'
import { createGate, type Gate } from './gate.ts'
import { apart, type TokenRequest } from './token-request.ts'

/** Token endpoints, guarded against being asked in vain. */
export interface GuardedEndpoints {
  /**
   * Sends the request, unless a failure of its endpoint, its client or itself is remembered. `judge` may find the answer
   * wanting by throwing; that is remembered too.
   * @throws {GatewayError} the failure, new or remembered
   */
  send(request: TokenRequest, key: string, judge: (issued: IssuedToken) => void): Promise<IssuedToken>
}

const longestEndpointPause = 30_000
const longestPause = 60_000

/** What a failure may count for. */
interface Grains {
  readonly url: string
  readonly client: string
  /** All requests that differ in nothing but whose token is exchanged. */
  readonly kind: string
  readonly key: string
  /** True if the connection on which a certificate was presented went to pieces. */
  readonly brokenOff: boolean
}

interface Endpoint {
  readonly gate: Gate
  /** The client whose connection was broken off last, which may have been for its certificate's sake. */
  brokenOffFor: string | undefined
}

/**
 * Failures count at their own grain. Transport faults, 5xx and 429 are the endpoint's, and after their pause one request
 * tries for all. `invalid_client` is the client's, until its credential changes. What a client gets for nobody's token is
 * no caller's fault. All others are the request's own: one caller's token, refused, shuts no other caller out.
 */
export function createGuardedEndpoints(clock: Clock): GuardedEndpoints {
  const down = createFailureMemory(clock, longestEndpointPause)
  const clients = createFailureMemory(clock, longestPause)
  const kinds = createFailureMemory(clock, longestPause)
  const requests = apart(() => createFailureMemory(clock, longestPause))
  const endpoints = new Map<string, Endpoint>()

  function find(url: string): Endpoint {
    const known = endpoints.get(url)
    if (known) return known
    const gate = createGate(clock, () => {
      down.check(url)
      return down.isOnTrial(url)
    })
    const endpoint: Endpoint = { gate, brokenOffFor: undefined }
    endpoints.set(url, endpoint)
    return endpoint
  }

  /** The failure as it is told to whoever met it. */
  function remember(error: GatewayError, request: TokenRequest, grains: Grains): GatewayError {
    const { url, client, kind, key, brokenOff } = grains
    const endpoint = find(url)
    if (error instanceof TokenRefusal && error.ofClient) {
      clients.failed(client, error)
      return error
    }
    if (error.code !== 'authorization_server_unavailable') {
      if (error instanceof TokenRefusal && error.ofGrant) kinds.failed(kind, error)
      else requests(request).failed(key, error)
      return error
    }
    if (!brokenOff) return down.failed(url, error)
    // A server that will not have a client's certificate breaks the connection off: that is nobody else's trouble.
    const anothers = endpoint.brokenOffFor !== undefined && endpoint.brokenOffFor !== client
    endpoint.brokenOffFor = client
    return anothers ? down.failed(url, error) : clients.failed(client, error)
  }

  return {
    async send(request, key, judge) {
      const grains = { url: request.endpoint(), client: request.clientKey(), kind: request.kindKey(), key }
      const check = () => {
        clients.check(grains.client)
        kinds.check(grains.kind)
        requests(request).check(key)
      }
      check()
      const endpoint = find(grains.url)
      const leave = await endpoint.gate.enter()
      const askedAt = clock.elapsed()
      const answered = () => {
        down.succeeded(grains.url, askedAt)
        endpoint.brokenOffFor = undefined
      }
      try {
        check()
        const issued = await request.send()
        judge(issued)
        answered()
        clients.succeeded(grains.client, askedAt)
        kinds.succeeded(grains.kind, askedAt)
        requests(request).succeeded(key, askedAt)
        leave('well')
        return issued
      } catch (error) {
        const isAnswer = error instanceof GatewayError && error.code !== 'authorization_server_unavailable'
        // One client's refusal is no reason to hold the others up.
        leave(isAnswer ? 'well' : 'badly')
        if (!(error instanceof GatewayError)) throw error
        if (isAnswer) answered()
        const brokenOff = request.presentsCertificate && isBrokenOff(error)
        throw remember(error, request, { ...grains, brokenOff })
      }
    },
  }
}

/** In TLS 1.3 a server finds fault with a certificate when its client takes the connection for good already. */
const brokenConnection = ['ECONNRESET', 'EPIPE']

function isBrokenOff(error: GatewayError): boolean {
  return error instanceof TransportFault && brokenConnection.includes(error.fault)
}
