import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Attempt } from './attempt.ts'
import type { Engine } from './engine.ts'
import type { OutgoingHeaders } from './exchange.ts'
import type { Framing } from './framing.ts'
import { answerOf } from './upstream-answer.ts'

/** Node's own client. */
export const nodeEngine: Engine = {
  name: 'node',
  start(attempt) {
    try {
      return send(attempt)
    } catch (error) {
      attempt.onError(error)
      return () => {}
    }
  },
}

function send(attempt: Attempt): (isWhole: boolean) => void {
  const { exchange, connections } = attempt
  const { agent } = connections
  const { protocol, hostname, port } = exchange.upstream.target
  const method = exchange.request.method ?? 'GET'
  const headers = rawHeaders(exchange.headers, method, exchange.framing)
  const request = protocol === 'https:' ? httpsRequest : httpRequest
  const outgoing = request({ agent, hostname, port, method, path: exchange.path, headers })
  outgoing.on('error', (error) => attempt.onError(error))
  outgoing.on('response', (answer) => attempt.onAnswer(answerOf(answer)))
  outgoing.on('socket', () => attempt.onConnection(outgoing))
  return (isWhole) => {
    if (!isWhole) outgoing.destroy()
  }
}

/** With these, Node takes a request that says nothing of a body for one that has none. */
const withoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS'])

/**
 * Names and values, alternating, which Node sends as they stand. The framing is said for every method alike: without a
 * length of its own the body of a DELETE, say, would be read as the next request on the connection.
 */
export function rawHeaders(headers: OutgoingHeaders, method: string, framing: Framing): string[] {
  const raw: string[] = []
  for (const name in headers) {
    const value = headers[name] ?? []
    if (typeof value === 'string') raw.push(name, value)
    // Of two lines many servers read but one: https://www.rfc-editor.org/rfc/rfc6265#section-5.4
    else if (name === 'cookie') raw.push(name, value.join('; '))
    else for (const each of value) raw.push(name, each)
  }
  if (framing.kind === 'length') raw.push('content-length', String(framing.length))
  else if (framing.kind === 'chunked') raw.push('transfer-encoding', 'chunked')
  else if (!withoutBody.has(method)) raw.push('content-length', '0')
  return raw
}
