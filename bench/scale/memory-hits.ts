import { randomBytes } from 'node:crypto'
import { type RunningRedis, startRedis } from '../../test/harness/redis.ts'
import { startTokenEndpoint } from '../token-endpoint.ts'
import { requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { listener } from './tokens.ts'
import { askForAll } from './turns.ts'
import { atMost, told, type Verdict } from './verdict.ts'

const requests = 1000

/** What Redis is asked while a gateway has the token in its memory. */
export async function* memoryHits(stage: Stage): AsyncGenerator<Verdict> {
  const endpoint = await startTokenEndpoint({ expiresAt: (now) => now + 86_400_000 })
  stage.atEnd(() => endpoint.stop())
  const redis = await startRedis()
  stage.atEnd(() => redis.stop())
  const gateway = await stage.startGateway(
    `${listener}
authorization_servers: { partner: { token_endpoint: "${endpoint.url}" } }
clients: { billing: { authorization_server: partner, client_id: billing, client_secret: "\${env:SECRET}" } }
token_cache: { redis: { url: "${redis.url}", encryption_keys: ["\${env:CACHE_KEY}"] } }
routes: [{ path: /partner/**, callers: { networks: [loopback] }, token: { client: billing }, upstream: "${stage.upstreamUrl}" }]
`,
    { SECRET: 's3cret-of-all', CACHE_KEY: randomBytes(32).toString('base64url') },
  )
  const request = requestOf('/partner/customers/7')
  const unused = await commandsOf(redis)
  await askForAll(gateway, [request])
  const before = await commandsOf(redis)
  yield told('Redis commands until the token is there', String(before - unused), 'those within scripts counted too')
  await askForAll(
    gateway,
    Array.from({ length: requests }, () => request),
  )
  yield atMost({
    what: `Redis commands on ${requests} memory hits`,
    ...{ value: (await commandsOf(redis)) - before, must: 0, write: String },
    more: `${endpoint.issued.length} token request in all`,
  })
}

/** All commands so far, but those of the one that looks. */
async function commandsOf(redis: RunningRedis): Promise<number> {
  const stats = await redis.cli('info', 'commandstats')
  const calls = [...stats.matchAll(/^cmdstat_(\S+):calls=(\d+)/gm)]
  return calls.reduce((sum, [, name, count]) => (name === 'info' ? sum : sum + Number(count)), 0)
}
