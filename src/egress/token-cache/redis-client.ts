import { type ConnectionOptions, getCACertificates } from 'node:tls'
import { type RedisOptions as AllIoredisOptions, Cluster, Redis } from 'ioredis'
import { hashSlot } from './hash-slot.ts'
import { parseRedisUrl, type RedisOptions } from './redis-options.ts'

/**
 * One set of connections to Redis. It never connects again by itself: who uses it makes a new one, so that sentinels are
 * asked anew, and a changed password is read.
 */
export interface RedisClient {
  /** Runs a Lua script over one key, on the node that keeps it. */
  evaluate(script: string, key: string, ...args: readonly string[]): Promise<unknown>
  /** Which part of Redis keeps what has this hash tag: nodes of a cluster come and go by themselves. */
  partOf(tag: string): string
  /** Resolves once commands can be sent. */
  connect(): Promise<void>
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  close(): void
}

type IoredisOptions = Omit<AllIoredisOptions, 'replyMapping'>

interface Events {
  /** A connection is gone for good. */
  onEnd(): void
  /** For the log; the error may quote a password. */
  onError(error: unknown): void
}

const refreshInterval = 1000

/** Nothing is connected yet. */
export function createRedisClient(options: RedisOptions, events: Events): RedisClient {
  return options.cluster ? createClusterClient(options, options.cluster, events) : createSingleClient(options, events)
}

function createSingleClient(options: RedisOptions, { onEnd, onError }: Events): RedisClient {
  const settings: IoredisOptions = {
    ...commonSettings,
    ...placeOf(options),
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    disconnectTimeout: 100,
  }
  const commands = new Redis(settings)
  // A connection that listens takes no commands.
  const listening = new Redis(settings)
  for (const redis of [commands, listening]) redis.on('error', onError).on('end', onEnd)
  return {
    evaluate: (script, key, ...args) => commands.eval(script, 1, key, ...args),
    partOf: () => '',
    async connect() {
      let fault: unknown
      for (const redis of [commands, listening])
        redis.once('error', (error) => {
          fault ??= error
        })
      await Promise.all([commands.connect(), listening.connect()])
      // A database that does not exist is told in this way alone, and another one would be used.
      if (fault !== undefined) throw fault
    },
    async subscribe(channel, listener) {
      listening.on('message', (_channel: string, message: string) => listener(message))
      await listening.subscribe(channel)
    },
    close() {
      for (const redis of [commands, listening]) redis.off('end', onEnd).disconnect()
    },
  }
}

function createClusterClient(
  options: RedisOptions,
  nodes: NonNullable<RedisOptions['cluster']>,
  { onEnd, onError }: Events,
): RedisClient {
  const cluster = new Cluster(
    nodes.map(({ host, port }) => ({ host, port })),
    {
      redisOptions: {
        ...commonSettings,
        ...credentialsOf(options),
        ...tlsOf(options),
        disconnectTimeout: 100,
      },
      lazyConnect: true,
      clusterRetryStrategy: null,
      // A node that is met for the first time is connected first; every command has its own limit of time.
      enableOfflineQueue: true,
      enableReadyCheck: false,
      maxRedirections: 4,
      retryDelayOnFailover: 20,
      retryDelayOnClusterDown: 20,
      slotsRefreshTimeout: 300,
      slotsRefreshInterval: refreshInterval,
      // The name of a node stays what its certificate is for.
      dnsLookup: (address, callback) => callback(null, address),
    },
  )
  cluster.on('error', onError).on('node error', onError).on('end', onEnd)
  return {
    evaluate: (script, key, ...args) => cluster.eval(script, 1, key, ...args),
    partOf: (tag) => cluster.slots[hashSlot(tag)]?.[0] ?? '',
    connect: () => cluster.connect(),
    async subscribe(channel, listener) {
      cluster.on('message', (_channel: string, message: string) => listener(message))
      await cluster.subscribe(channel)
    },
    close() {
      cluster.off('end', onEnd)
      cluster.disconnect()
    },
  }
}

const commonSettings = {
  connectTimeout: 1000,
  // Redis is tried out by a command of our own, and asked nothing else that an ACL user may not ask.
  enableReadyCheck: false,
  disableClientInfo: true,
  protocol: 2,
} as const

function placeOf(options: RedisOptions): IoredisOptions {
  const url = options.url && parseRedisUrl(options.url.read())
  if (url) {
    const { host, port, username, password, database = options.database, encrypted } = url
    return {
      host,
      port,
      ...credentialsOf(options),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(database !== undefined && { db: database }),
      ...(encrypted && tlsOf({ ...options, tls: options.tls ?? {} })),
    }
  }
  const { sentinels = [], name, database, sentinel_username: username, sentinel_password: password, tls } = options
  const { tls: tlsOptions } = tlsOf(options)
  return {
    sentinels: [...sentinels],
    ...(name !== undefined && { name }),
    ...credentialsOf(options),
    ...(database !== undefined && { db: database }),
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password && { sentinelPassword: password.read() }),
    ...(tls && tlsOptions && { tls: tlsOptions, sentinelTLS: tlsOptions, enableTLSForSentinelMode: true }),
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: 300,
  }
}

function credentialsOf({ username, password }: RedisOptions): Pick<IoredisOptions, 'username' | 'password'> {
  return { ...(username !== undefined && { username }), ...(password && { password: password.read() }) }
}

function tlsOf({ tls }: Pick<RedisOptions, 'tls'>): { readonly tls?: ConnectionOptions } {
  if (!tls) return {}
  const { ca, certificate, private_key: key, server_name: servername } = tls
  return {
    tls: {
      ...(ca !== undefined && { ca: [...getCACertificates(), ca] }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key && { key: key.read() }),
      ...(servername !== undefined && { servername }),
    },
  }
}
