import { systemClock } from '../../src/base/clock.ts'
import { createLog } from '../../src/base/log.ts'
import { clientOptions } from '../../src/egress/client.ts'
import { createTokenCache, tokenCacheOptions } from '../../src/egress/token-cache/index.ts'
import { createTokenRequest } from '../../src/egress/token-request.ts'
import { createServer } from '../authorization-server/asking.ts'

/** A token request in the words of the configuration, and such that another process can be told of it. */
export interface KeyWish {
  readonly server: Readonly<Record<string, string>>
  /** The client's authentication method, and what it needs. */
  readonly credential: Readonly<Record<string, unknown>>
  readonly clientId: string
  readonly policy: string
  readonly scopes: readonly string[]
  readonly audience: readonly string[]
  readonly resource: readonly string[]
  readonly params: Readonly<Record<string, string>>
}

/** The keys of each, in a cache on a Redis with these encryption keys. No Redis is needed for that. */
export async function keysOf(
  wishes: readonly KeyWish[],
  encryptionKeys: readonly string[],
): Promise<(readonly string[])[]> {
  const options = tokenCacheOptions.parse({
    redis: { url: 'redis://127.0.0.1:1', encryption_keys: [...encryptionKeys] },
  })
  const cache = createTokenCache(options, { clock: systemClock, log: createLog({ write: () => {} }) })
  try {
    const keys: (readonly string[])[] = []
    for (const { server: where, credential, clientId, policy, ...token } of wishes) {
      const server = createServer(where)
      const client = clientOptions.parse({
        authorization_server: 'sso',
        client_id: clientId,
        scope_policy: policy,
        ...credential,
      })
      keys.push(
        createTokenRequest({
          name: 'any',
          client,
          server,
          token: { ...token, scopes: [...token.scopes] } as object,
          cache,
        }).keys(),
      )
      await server.close()
    }
    return keys
  } finally {
    await cache.close()
  }
}
