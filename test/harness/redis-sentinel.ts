import { type RunningRedis, startRedis } from './redis.ts'

export interface RunningSentinels {
  /** What the sentinels call the group. */
  readonly name: string
  readonly master: RunningRedis
  readonly replica: RunningRedis
  readonly sentinels: readonly RunningRedis[]
  /** `host:port` of every sentinel. */
  readonly addresses: readonly string[]
  stop(): Promise<void>
}

const name = 'mymaster'

/** One master, one replica, and sentinels that put the replica in its place within two seconds. */
export async function startRedisSentinel(count = 1): Promise<RunningSentinels> {
  const master = await startRedis()
  const replica = await startRedis({ config: [`replicaof 127.0.0.1 ${master.port}`] })
  const config = [
    `sentinel monitor ${name} 127.0.0.1 ${master.port} ${Math.ceil(count / 2)}`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 2000`,
  ]
  const sentinels = await Promise.all(Array.from({ length: count }, () => startRedis({ mode: 'sentinel', config })))
  for (const sentinel of sentinels) await knowsReplica(sentinel)
  return {
    name,
    master,
    replica,
    sentinels,
    addresses: sentinels.map(({ address }) => address),
    async stop() {
      await Promise.all([...sentinels, master, replica].map((one) => one.stop()))
    },
  }
}

async function knowsReplica(sentinel: RunningRedis): Promise<void> {
  for (;;) {
    const told = await sentinel.cli('sentinel', 'replicas', name)
    if (told.includes('master-link-status\nok')) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
