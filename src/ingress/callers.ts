import type { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { type Clock, systemClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { faultRule } from '../base/fault-rule.ts'
import { Networks } from '../base/network.ts'
import { listOf, network } from '../base/scalars.ts'
import { certificatesOptions, createCertificateMatcher } from './certificate-callers.ts'

/** Who may use a route, whatever token they have. */
export const callersOptions = z
  .strictObject({
    networks: listOf(network()).optional().describe('loopback, addresses or networks that the caller is in'),
    certificates: certificatesOptions
      .optional()
      .describe('the client certificate has one of these names; beside networks, both must hold'),
  })
  .check(
    faultRule(['networks', 'certificates'], (given) =>
      Object.keys(given).length === 0
        ? { path: [], message: 'is empty, and would let nobody in: give it networks, certificates, or both' }
        : undefined,
    ),
  )

export type CallersOptions = z.output<typeof callersOptions>

/** Who is at the other end, as far as the connection tells. */
export interface Caller {
  /** As the socket knows it, or as a trusted proxy tells it. */
  readonly address: string | undefined
  /** As `verifiedCertificate` gives it; it is read only where a route asks for one. */
  readonly certificate?: X509Certificate | undefined
}

/** A route's callers, ready to be asked. */
export interface Callers {
  /**
   * Gives back the name by which the caller's certificate is listed, where the route asks for one.
   * @throws {GatewayError} `caller_not_allowed`, for a missing address or certificate too
   */
  check(caller: Caller): string | undefined
}

export function createCallers(options: CallersOptions, clock: Clock = systemClock): Callers {
  const networks = options.networks && new Networks(options.networks)
  const match = options.certificates && createCertificateMatcher(options.certificates)
  return {
    check(caller) {
      const { address } = caller
      if (networks && !(address !== undefined && networks.includes(address)))
        throw notAllowed('the address of the caller is in none of the networks')
      if (!match) return undefined
      const found = match(caller.certificate, clock.now())
      if ('fault' in found) throw notAllowed(found.fault)
      return found.name
    },
  }
}

function notAllowed(reason: string): GatewayError {
  return new GatewayError('caller_not_allowed', { reason })
}
