import type { IncomingMessage, ServerResponse } from 'node:http'
import { GatewayError } from './base/errors.ts'
import type { Listener } from './listener.ts'
import type { UpgradeConnection } from './proxy/upgrade-connection.ts'
import type { Outcome } from './request-log.ts'
import type { Parts } from './wiring.ts'

/** One request on its way. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** As the caller sent it, also where an application has cut its own prefix off. */
  readonly target: string
  readonly listener: Listener
  readonly parts: Parts
  readonly requestId: string
  readonly startedAt: number
  readonly outcome: Outcome
  /** Given where another application may own the path. */
  readonly next: ((error?: unknown) => void) | undefined
  /** Given where the caller asks for a WebSocket, and its connection can become one. */
  readonly upgrade: UpgradeConnection | undefined
}

/** The caller may leave while it waits: then nobody goes on for it, and what it waited for goes on for the others. */
export async function whileOpen<Value>(response: ServerResponse, work: Promise<Value>): Promise<Value> {
  const { promise: left, reject } = Promise.withResolvers<never>()
  const leave = () => reject(new GatewayError('caller_gone'))
  if (response.destroyed) leave()
  response.once('close', leave)
  try {
    return await Promise.race([work, left])
  } finally {
    response.off('close', leave)
  }
}
