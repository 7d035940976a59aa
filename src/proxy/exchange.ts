import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Framing } from './framing.ts'
import type { UpgradeConnection } from './upgrade-connection.ts'
import type { TunnelEnd } from './upgrade-tunnel.ts'
import type { Upstream } from './upstream.ts'

/** The values of headers, by lower-case name; of a repeated one every value. */
export type OutgoingHeaders = Readonly<Record<string, string | readonly string[]>>

/** What goes ahead of the body. */
export interface OutgoingHead {
  /** From `buildRequestHeaders`. */
  readonly headers: OutgoingHeaders
  /** When the token in them expires, which goes out no more then: milliseconds since the epoch. */
  readonly sendBefore?: number | undefined
}

/** One admitted request, and where it goes. */
export interface ForwardRequest extends OutgoingHead {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly upstream: Upstream
  /** The request target for the upstream, sent byte for byte. */
  readonly path: string
  readonly framing: Framing
  /** Milliseconds for which the caller may be silent within its body. */
  readonly bodyIdle: number
  /** Bytes that the body may have. */
  readonly bodyLimit?: number | undefined
  /** The caller waits for `100 Continue`. */
  readonly sendContinue: boolean
  /** The body, where it was read before anything was sent. */
  readonly keptBody?: Buffer | undefined
  /**
   * Given where a token of the gateway's own goes out, and an upstream that refuses it is not passed on: the head with its
   * successor, or `undefined` where none is to be had; rejects with `upstream_refused_token` where it can say why.
   */
  readonly reauthorize?: (() => Promise<OutgoingHead | undefined>) | undefined
  /** Given with a token: the head with one that is good now, for a caller who took its time with the body. */
  readonly refresh?: (() => Promise<OutgoingHead>) | undefined
  /** Given where a URL of the upstream's own, in the head of its answer, becomes one that leads the caller here again. */
  readonly relocate?: ((location: string) => string) | undefined
  /** Given where the caller asks for a WebSocket, and the connection is there to be taken over. */
  readonly upgrade?:
    | {
        readonly connection: UpgradeConnection
        /** When it ends, in milliseconds since the epoch, whoever still has something to say. */
        readonly endAt?: number | undefined
      }
    | undefined
}

/** What has been answered. */
export interface Forwarded {
  /** The upstream's status. */
  readonly status: number
  /** After a 101, how the upgraded connection will have ended. */
  readonly ended?: Promise<TunnelEnd>
}
