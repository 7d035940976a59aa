import type { IssuedToken } from '../authorization-server/token-endpoint.ts'
import { TokenRefusal } from '../authorization-server/token-refusal.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { createFailureMemory } from './failure-memory.ts'
import type { TokenRequest } from './token-request.ts'

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
/** So many requests at once to one endpoint: as many meet a failure that is not known yet. */
const mostAtOnce = 4

interface Gate {
  running: number
  readonly waiting: (() => void)[]
}

/**
 * Failures count at their own grain. Transport faults, 5xx and 429 are the endpoint's, and after their pause one request
 * tries for all. `invalid_client` is the client's, until its credential changes. All others are the request's own.
 */
export function createGuardedEndpoints(clock: Clock): GuardedEndpoints {
  const endpoints = createFailureMemory(clock, longestEndpointPause)
  const clients = createFailureMemory(clock, longestPause)
  const requests = createFailureMemory(clock, longestPause)
  const gates = new Map<string, Gate>()

  async function enter(endpoint: string): Promise<Gate> {
    const gate = gates.get(endpoint) ?? { running: 0, waiting: [] }
    gates.set(endpoint, gate)
    for (;;) {
      endpoints.check(endpoint)
      const places = endpoints.isOnTrial(endpoint) ? 1 : mostAtOnce
      if (gate.running < places) break
      await new Promise<void>((resolve) => gate.waiting.push(resolve))
    }
    gate.running++
    return gate
  }

  function leave(gate: Gate): void {
    gate.running--
    for (const resolve of gate.waiting.splice(0)) resolve()
  }

  return {
    async send(request, key, judge) {
      const client = request.clientKey()
      clients.check(client)
      requests.check(key)
      const gate = await enter(request.endpoint)
      try {
        clients.check(client)
        requests.check(key)
        const issued = await request.send()
        judge(issued)
        endpoints.succeeded(request.endpoint)
        clients.succeeded(client)
        requests.succeeded(key)
        return issued
      } catch (error) {
        if (error instanceof GatewayError && error.code === 'authorization_server_unavailable')
          endpoints.failed(request.endpoint, error)
        else if (error instanceof GatewayError) {
          endpoints.succeeded(request.endpoint)
          if (error instanceof TokenRefusal && error.ofClient) clients.failed(client, error)
          else requests.failed(key, error)
        }
        throw error
      } finally {
        leave(gate)
      }
    },
  }
}
