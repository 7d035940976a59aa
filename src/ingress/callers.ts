import { z } from 'zod'
import { GatewayError } from '../base/errors.ts'
import { Networks } from '../base/network.ts'
import { listOf, network } from '../base/scalars.ts'

/** Who may use a route, whatever token they have. */
export const callersOptions = z.strictObject({
  networks: listOf(network()).describe('loopback, addresses or networks that the caller is in'),
})

export type CallersOptions = z.output<typeof callersOptions>

/** A route's callers, ready to be asked. */
export interface Callers {
  /**
   * `address` is the caller's own, as the socket knows it, or as a trusted proxy tells it.
   * @throws {GatewayError} `caller_not_allowed`, for a missing address too
   */
  check(address: string | undefined): void
}

export function createCallers(options: CallersOptions): Callers {
  const networks = new Networks(options.networks)
  return {
    check(address) {
      if (address !== undefined && networks.includes(address)) return
      throw new GatewayError('caller_not_allowed', { reason: 'the address of the caller is in none of the networks' })
    },
  }
}
