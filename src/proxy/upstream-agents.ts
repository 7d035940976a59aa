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

/** A certificate that has changed gets connections of its own: on an old one the upstream would go on to see the old one. */
export function createUpstreamAgents(
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
