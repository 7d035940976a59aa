import type { z } from 'zod'
import { createKeySet, keySetOptions } from '../../src/authorization-server/key-set.ts'
import {
  type AccessToken,
  type AccessTokenVerifier,
  createAccessTokenVerifier,
  type TrustedServer,
} from '../../src/ingress/access-token.ts'
import { accessTokenOptions } from '../../src/ingress/access-token-options.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import type { Members, SigningKey, TokenParts } from '../harness/tokens.ts'

export const issuer = 'https://sso.example.test/realms/one'
export const audience = 'https://api.example.test'

/** A verifier that always takes its time. */
export interface LateVerifier {
  verify(...given: Parameters<AccessTokenVerifier['verify']>): Promise<AccessToken>
}

export function lateVerifier(verifier: AccessTokenVerifier): LateVerifier {
  return { verify: async (...given) => verifier.verify(...given) }
}

/** A verifier whose servers publish their keys on real sockets. */
export interface TestVerifier extends LateVerifier {
  readonly clock: TestClock
  /** From now on the first server publishes these keys. */
  publish(...keys: readonly (SigningKey | object)[]): void
  stop(): Promise<void>
}

export interface TestServer {
  readonly name?: string
  readonly issuers?: readonly string[]
  readonly keys: readonly (SigningKey | object)[]
  /** The `access_tokens` block, as it stands in the file. */
  readonly options?: Members
}

/** Starts a verifier that trusts the given servers. */
export async function startVerifier(...servers: readonly TestServer[]): Promise<TestVerifier> {
  const clock = createTestClock()
  const stops: (() => Promise<void>)[] = []
  const trusted: TrustedServer[] = []
  const keyServers: KeyServer[] = []
  for (const { name = 'sso', issuers = [issuer], keys, options = {} } of servers) {
    const keyServer = await startKeyServer(name, ...keys.map(publicPart))
    keyServers.push(keyServer)
    const keySet = createKeySet(keyServer.server, keySetOptions.parse(undefined), { clock })
    stops.push(async () => {
      keySet.stop()
      await keyServer.stop()
    })
    trusted.push({ name, issuers, keys: keySet, options: readOptions(options) })
  }
  return {
    ...lateVerifier(createAccessTokenVerifier(trusted, { clock })),
    clock,
    publish: (...keys) => keyServers[0]?.publish(...keys.map(publicPart)),
    stop: async () => {
      for (const stop of stops) await stop()
    },
  }
}

function publicPart(key: SigningKey | object): object {
  return 'jwk' in key ? (key.jwk as object) : key
}

function readOptions(options: Members): z.output<typeof accessTokenOptions> {
  return accessTokenOptions.parse({ audience, ...options })
}

/** The parts of a token that is accepted, with some of them changed. */
export function parts({ claims = {}, header = {} }: Partial<TokenParts> = {}): TokenParts {
  const now = Math.floor(createTestClock().now() / 1000)
  const usual = {
    iss: issuer,
    aud: audience,
    sub: 'legacy',
    client_id: 'legacy',
    scope: 'customer.read',
    iat: now,
    exp: now + 300,
  }
  return { claims: { ...usual, ...claims }, header: { typ: 'at+jwt', ...header } }
}
