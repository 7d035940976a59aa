import type { ClientCertificate } from '../base/client-certificate.ts'
import { type AgentOptions, createUpstreamAgent, type UpstreamAgent } from './upstream-agent.ts'

/** The two ways in which connections to one upstream are made. */
interface Pair {
  /** Keeps connections for the next request. */
  readonly kept: UpstreamAgent
  /** Makes a new connection for each. */
  readonly fresh: UpstreamAgent
}

/** The connections to one upstream, with whatever certificate is presented on them. */
export interface UpstreamAgents {
  current(): Pair
  /** Closes idle connections; those in use are closed once their answer is there. */
  retire(): void
}

/** The connections to all upstreams. */
export interface UpstreamPools {
  /** Those to an origin. Routes that lead to the same one, in the same way, with the same certificate, share them. */
  agentsFor(
    origin: string,
    options: Omit<AgentOptions, 'keepAlive' | 'certificate'>,
    certificate: ClientCertificate | undefined,
  ): UpstreamAgents
}

export function createUpstreamPools(): UpstreamPools {
  const pools = new Map<ClientCertificate | undefined, Map<string, UpstreamAgents>>()
  return {
    agentsFor(origin, options, certificate) {
      const ofCertificate = pools.get(certificate) ?? new Map<string, UpstreamAgents>()
      pools.set(certificate, ofCertificate)
      const way = JSON.stringify([origin, options.serverName, options.ca])
      const agents = ofCertificate.get(way) ?? createUpstreamAgents(options, certificate)
      ofCertificate.set(way, agents)
      return agents
    },
  }
}

/** A certificate that has changed gets connections of its own: on an old one the upstream would go on to see the old one. */
function createUpstreamAgents(
  options: Omit<AgentOptions, 'keepAlive' | 'certificate'>,
  certificate: ClientCertificate | undefined,
): UpstreamAgents {
  const create = (): Pair => ({
    kept: createUpstreamAgent({ ...options, certificate: presented, keepAlive: true }),
    fresh: createUpstreamAgent({ ...options, certificate: presented, keepAlive: false }),
  })
  let presented = certificate?.read()
  let pair = create()
  return {
    current() {
      const now = certificate?.recent()
      if (now === presented) return pair
      presented = now
      pair.kept.retire()
      pair = create()
      return pair
    },
    retire: () => pair.kept.retire(),
  }
}
