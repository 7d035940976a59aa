import { type RunningRedis, startRedis } from './redis.ts'

export interface RunningCluster {
  readonly nodes: readonly RunningRedis[]
  readonly masters: readonly RunningRedis[]
  /** `host:port` of every node. */
  readonly addresses: readonly string[]
  /** Which of the masters keeps this key. */
  ownerOf(key: string): Promise<RunningRedis>
  stop(): Promise<void>
}

/** Three masters, each with as many replicas. Without `fullCoverage`, what is left goes on when a master is lost. */
export async function startRedisCluster({
  replicas = 0,
  fullCoverage = true,
}: {
  readonly replicas?: number
  readonly fullCoverage?: boolean
} = {}): Promise<RunningCluster> {
  const config = [
    'cluster-enabled yes',
    'cluster-node-timeout 1000',
    'cluster-replica-validity-factor 0',
    `cluster-require-full-coverage ${fullCoverage ? 'yes' : 'no'}`,
  ]
  const nodes = await startAll(3 * (replicas + 1), config)
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())))
  const [first] = nodes
  if (!first) throw new TypeError('a cluster without nodes')
  const addresses = nodes.map(({ address }) => address)
  try {
    await first.cli('--cluster', 'create', ...addresses, '--cluster-replicas', String(replicas), '--cluster-yes')
    for (const node of nodes) await settled(node, nodes.length)
  } catch (error) {
    await stop()
    throw error
  }
  const masters = nodes.slice(0, 3)
  return {
    nodes,
    masters,
    addresses,
    async ownerOf(key) {
      const slot = Number(await first.cli('cluster', 'keyslot', key))
      const owner = masters[Math.min(2, Math.floor(slot / 5461))]
      const [, , range = ''] =
        /myself,master(.*) connected ([\d-]+)/.exec((await owner?.cli('cluster', 'nodes')) ?? '') ?? []
      const [from = 0, to = 0] = range.split('-').map(Number)
      if (!owner || slot < from || slot > to) throw new Error(`slot ${slot} is not where it was thought to be`)
      return owner
    },
    stop,
  }
}

/** All of them, or none. */
async function startAll(count: number, config: readonly string[]): Promise<RunningRedis[]> {
  const starts = await Promise.allSettled(Array.from({ length: count }, () => startRedis({ config })))
  const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const failed = starts.find((start) => start.status === 'rejected')
  if (!failed) return nodes
  await Promise.all(nodes.map((node) => node.stop()))
  throw failed.reason
}

async function settled(node: RunningRedis, count: number): Promise<void> {
  for (;;) {
    const info = await node.cli('cluster', 'info')
    if (info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
