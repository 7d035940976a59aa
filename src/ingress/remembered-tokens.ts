import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { PublicKey } from '../authorization-server/public-key.ts'
import type { AccessToken, TrustedServer } from './access-token.ts'

/** What was found when a token was verified, and by what: it holds only as long as server and key are the same objects. */
export interface VerifiedToken {
  readonly token: AccessToken
  readonly server: TrustedServer
  readonly key: PublicKey
}

/** The tokens that were verified, so that a signature is checked once. Times and routes are judged anew each time. */
export interface RememberedTokens {
  /** A key for a token, which is of no use to whoever finds it. */
  digest(token: string): string
  get(digest: string): VerifiedToken | undefined
  /** Only what is valid is ever remembered: bad tokens, of which anybody can make any number, push nothing out. */
  remember(digest: string, verified: VerifiedToken): void
  forget(digest: string): void
}

const mostTokens = 100_000
/** Room for as many tokens of the usual size, about 800 bytes by what follows. */
const mostBytes = 96 * 1024 * 1024

/** Bounded in bytes, and in number by what each counts for at the least; the longest unused goes first. */
export function createRememberedTokens({ most = mostTokens, bytes = mostBytes } = {}): RememberedTokens {
  const tokens = new LRUCache<string, VerifiedToken>({
    // Its `max` would take the room for all of them at once.
    maxSize: bytes,
    sizeCalculation: ({ token }) =>
      Math.max(Math.ceil(bytes / most), ownBytes + weigh(token.claims) + weigh(token.scopes)),
  })
  return {
    // The whole of it, and no text from outside ASCII becomes the same bytes as a token.
    // As text of 32 characters it takes half of what it would in hexadecimal.
    digest: (token) => hash('sha256', token, 'binary'),
    get: (digest) => tokens.get(digest),
    remember: (digest, verified) => void tokens.set(digest, verified),
    forget: (digest) => void tokens.delete(digest),
  }
}

/** What an entry takes beside its claims: digest, list of the longest unused, objects around them. */
const ownBytes = 300

/** Roughly what a JSON value takes in memory, in bytes, rather more than less; the forms of objects are shared. */
function weigh(value: unknown): number {
  if (typeof value === 'string') return 24 + Buffer.byteLength(value)
  if (typeof value !== 'object' || value === null) return 16
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + 8 + weigh(item), 48)
  return Object.entries(value).reduce((sum, [name, member]) => sum + 16 + name.length + weigh(member), 64)
}
