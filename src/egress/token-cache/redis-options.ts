import { z } from 'zod'
import { Networks } from '../../base/network.ts'
import { certificates, flag, integer, listOf, parsedText, ruleOverMap, secret, text } from '../../base/scalars.ts'
import { Secret } from '../../base/secret.ts'
import { encryptionKeys } from '../sealing.ts'

/** A Redis as its URL names it. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
}

export interface RedisUrl extends RedisAddress {
  readonly encrypted: boolean
  readonly username?: string
  readonly password?: string
  readonly database?: number
}

/** Reads `redis://user:password@host:6379/0`, or `rediss://…` for TLS; `undefined` for anything else. */
export function parseRedisUrl(given: string): RedisUrl | undefined {
  const url = URL.canParse(given) ? new URL(given) : undefined
  const path = /^\/?(\d{0,5})$/.exec(url?.pathname ?? '')
  if (!url || !path || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || url.search || url.hash)
    return undefined
  try {
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 6379),
      encrypted: url.protocol === 'rediss:',
      ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
      ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
      ...(path[1] && { database: Number(path[1]) }),
    }
  } catch {
    return undefined
  }
}

/** A URL can hold a password, and is a secret then; without one it may stand in the file. */
const redisUrl = () =>
  secret()
    .refine((url) => parseRedisUrl(url.read()) !== undefined, {
      error: 'must be redis://host:port/database, or rediss://… for TLS',
    })
    .transform((url) =>
      parseRedisUrl(url.read())?.password === undefined ? new Secret(() => url.read(), { plainText: false }) : url,
    )

const hostAndPort = () =>
  parsedText<RedisAddress>('host:port, such as cache-1:6379 or [::1]:6379', (given) => {
    const [, ipv6, name, port] = /^(?:\[([\da-f:.]+)\]|([\w.-]+)):(\d{1,5})$/i.exec(given) ?? []
    const host = ipv6 ?? name
    return host === undefined || Number(port) === 0 || Number(port) > 65_535 ? undefined : { host, port: Number(port) }
  })

const places = ['url', 'sentinels', 'cluster'] as const

/** A Redis that processes share their tokens in. */
export const redisOptions = z
  .strictObject({
    url: redisUrl()
      .optional()
      .describe('redis://host:port/database, or rediss://… for TLS; user and password may stand in it'),
    sentinels: listOf(hostAndPort()).optional().describe('host:port of each sentinel, instead of url; with name'),
    name: text().optional().describe('what the sentinels call the master'),
    cluster: listOf(hostAndPort()).optional().describe('host:port of some nodes of a cluster, instead of url'),
    username: text().optional().describe('the ACL user'),
    password: secret().optional(),
    sentinel_username: text().optional().describe('the ACL user at the sentinels, where they ask for one'),
    sentinel_password: secret().optional(),
    database: integer(0, 65_535).optional().describe('instead of the one in the url; a cluster has none'),
    tls: z
      .strictObject({
        ca: certificates().optional().describe('PEM, added to the roots that Node trusts'),
        certificate: certificates().optional().describe('PEM; the client certificate'),
        private_key: secret().optional().describe('PEM; the key of the client certificate'),
        server_name: text().optional().describe("the name that its certificate has, where it is not the host's"),
      })
      .optional()
      .describe('with rediss://, or to reach sentinels or a cluster over TLS'),
    encryption_keys: encryptionKeys(),
    key_prefix: parsedText<string>('letters, digits and any of . _ - / :', (given) =>
      /^[\w.\-/:]{1,100}$/.test(given) ? given : undefined,
    )
      .prefault('scopegate:')
      .describe('what the names of its keys begin with'),
    allow_plain: flag()
      .prefault(false)
      .describe('true: it may be reached without TLS beyond loopback; the tokens are encrypted all the same'),
  })
  .refine((redis) => places.filter((place) => redis[place] !== undefined).length === 1, {
    ...ruleOverMap,
    message: 'must say where Redis is in exactly one way: url, or sentinels with name, or cluster',
  })
  .refine((redis) => redis.sentinels === undefined || redis.name !== undefined, {
    ...ruleOverMap,
    path: ['name'],
    message: 'is missing: what do the sentinels call the master?',
  })
  .refine((redis) => redis.name === undefined || redis.sentinels !== undefined, {
    ...ruleOverMap,
    path: ['name'],
    message: 'belongs with sentinels: it is what they call the master',
  })
  .refine((redis) => redis.database === undefined || redis.cluster === undefined, {
    ...ruleOverMap,
    path: ['database'],
    message: 'stands beside cluster, and a cluster has no databases; remove it',
  })
  .refine((redis) => redis.tls === undefined || redis.url === undefined || isEncrypted(redis.url), {
    ...ruleOverMap,
    path: ['tls'],
    message: 'stands beside a redis:// url, which is without TLS; write rediss://',
  })
  .refine((redis) => (redis.tls?.certificate === undefined) === (redis.tls?.private_key === undefined), {
    ...ruleOverMap,
    path: ['tls'],
    message: 'has one of certificate and private_key; a client certificate needs both',
  })

export type RedisOptions = z.output<typeof redisOptions>

/** True for what is no URL as well: that has its own fault. */
function isEncrypted(url: unknown): boolean {
  return !(url instanceof Secret) || parseRedisUrl(url.read())?.encrypted !== false
}

const loopback = new Networks(['loopback'])

/** True if Redis is reached without TLS, and not on this machine alone. */
export function isPlainRedis(redis: RedisOptions): boolean {
  const url = redis.url && parseRedisUrl(redis.url.read())
  if (redis.allow_plain || url?.encrypted || redis.tls) return false
  const hosts = url ? [url.host] : [...(redis.sentinels ?? []), ...(redis.cluster ?? [])].map(({ host }) => host)
  return hosts.some((host) => host !== 'localhost' && !loopback.includes(host))
}
