import { systemClock } from '../../../src/base/clock.ts'
import { createPrimaryTokenCache } from '../../../src/egress/token-cache/primary.ts'
import { createLink } from '../../../src/workers/link.ts'

/** A process of its own that takes a lease through its parent, tells what became of that, and keeps it. */
const link = createLink<unknown, never>(process, () => undefined)
const secret = process.env.SECRET ?? ''
const cache = createPrimaryTokenCache({ ask: (question) => link.ask(question), secret, clock: systemClock })
const lease = await cache.acquire(cache.keysOf(process.env.REQUEST ?? ''))
process.stdout.write(lease.state)
