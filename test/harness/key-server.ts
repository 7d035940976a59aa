import { createServer, type ServerResponse } from 'node:http'
import type { KeySetServer } from '../../src/authorization-server/key-set-document.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { listen } from './listen.ts'

/** A server that publishes keys and does nothing else. */
export interface KeyServer {
  /** What a key set asks for its keys. */
  readonly server: KeySetServer
  /** How many requests have arrived. */
  readonly requests: number
  /** From now on publishes these keys. */
  publish(...keys: readonly object[]): void
  /** From now on answers this way. */
  answer(answer: (response: ServerResponse) => void): void
  stop(): Promise<void>
}

/** Starts one on a free port. */
export async function startKeyServer(name: string, ...keys: readonly object[]): Promise<KeyServer> {
  let requests = 0
  const publishing = (published: readonly object[]) => (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: published }))
  }
  let answer = publishing(keys)
  const listening = await listen(
    createServer((_request, response) => {
      requests += 1
      answer(response)
    }),
  )
  return {
    server: {
      name,
      endpoint: async () => `http://127.0.0.1:${listening.port}/jwks`,
      http: { fetch: (url, init) => fetch(url, init).catch(unavailable) },
    },
    get requests() {
      return requests
    },
    publish(...published) {
      answer = publishing(published)
    },
    answer(next) {
      answer = next
    },
    stop: () => listening.stop(),
  }
}

function unavailable(): never {
  throw new GatewayError('authorization_server_unavailable', { reason: 'no answer' })
}
