import type { Secret } from '../../base/secret.ts'
import type { AccessToken } from '../access-token.ts'
import { createSealing } from '../sealing.ts'
import { parseToken, serialiseToken } from './stored-token.ts'

/** What makes tokens unreadable where they are kept, and their names mean nothing. */
export interface TokenEncryption {
  /** The names of a token request, one for each key, the one that is written first. */
  namesOf(canonicalRequest: string): readonly string[]
  /** Encrypts with the first key. */
  seal(name: string, token: AccessToken): string
  /** `undefined` for what is malformed, was changed, stood under another name, or was encrypted with an unknown key. */
  open(name: string, sealed: string): AccessToken | undefined
}

/** @throws {TypeError} for a key that is not 32 bytes */
export function createTokenEncryption(secrets: readonly Secret[]): TokenEncryption {
  const { namesOf, seal, open } = createSealing(secrets, 'token cache')
  return {
    namesOf,
    seal: (name, token) => seal(name, serialiseToken(token)),
    open(name, sealed) {
      const text = open(name, sealed)
      return text === undefined ? undefined : parseToken(text)
    },
  }
}
