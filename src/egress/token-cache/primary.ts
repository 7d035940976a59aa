import { createHmac, randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { HeldLease } from '../leases.ts'
import type { TokenCache } from './define.ts'
import { within } from './loop-time.ts'
import type { FoundToken, TokenQuestion } from './primary-tokens.ts'
import { adjustToClock, parseToken, serialiseToken } from './stored-token.ts'

export interface PrimaryTokenCacheContext {
  /** Asks the primary process; rejects if that is not to be reached. */
  ask(question: TokenQuestion): Promise<unknown>
  /** The same in every worker, and in no other process: under it the names of tokens are made. */
  readonly secret: string
  readonly clock: Clock
}

const extensionInterval = 500
/** The primary answers at once, unless it is busy with something long. */
const answerPatience = 1000

/** Tokens that the workers of one machine share through their primary process, each of which asks it here. */
export function createPrimaryTokenCache({ ask, secret, clock }: PrimaryTokenCacheContext): TokenCache {
  /** `undefined` also if nothing was to be learnt. */
  async function askSoon(question: TokenQuestion, patience = answerPatience): Promise<unknown> {
    try {
      return await within(patience, ask(question), clock)
    } catch {
      return undefined
    }
  }

  function hold(name: string, holder: string): HeldLease {
    let released = false
    let cancel = () => {}
    const extend = async () => {
      const kept = await askSoon({ what: 'extend', name, holder })
      if (!released && kept !== false) extendLater()
    }
    const extendLater = () => {
      cancel = clock.setTimeout(() => void extend(), extensionInterval)
    }
    extendLater()
    return {
      state: 'held',
      async release() {
        released = true
        cancel()
        await askSoon({ what: 'release', name, holder })
      },
    }
  }

  return {
    source: 'memory',
    ready: async () => {},
    keysOf: (canonicalRequest) => [createHmac('sha256', secret).update(canonicalRequest).digest('base64url')],
    async get([name = '']) {
      const found = (await askSoon({ what: 'get', name })) as FoundToken | undefined
      const token = found && parseToken(found.token)
      return token && adjustToClock(token, found.left, clock.now())
    },
    async set([name = ''], token, refused) {
      await askSoon({ what: 'set', name, token: serialiseToken(token), refused: refused?.id })
    },
    async remove([name = ''], { id }) {
      await askSoon({ what: 'remove', name, id })
    },
    async acquire([name = '']) {
      const holder = randomUUID()
      const taken = await askSoon({ what: 'acquire', name, holder })
      if (typeof taken !== 'boolean') return { state: 'unavailable' }
      return taken ? hold(name, holder) : { state: 'busy' }
    },
    async settled([name = ''], milliseconds) {
      await askSoon({ what: 'settled', name, milliseconds }, milliseconds + answerPatience)
    },
    close: async () => {},
  }
}
