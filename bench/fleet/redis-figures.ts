import type { RunningRedis } from '../../test/harness/redis.ts'

/** What a Redis has had to do so far, and what it holds. */
export interface RedisFigures {
  /** Scripts that gateways have sent: each is one round trip. */
  readonly scripts: number
  /** Commands, those within scripts counted too. */
  readonly commands: number
  readonly published: number
  /** Bytes that it got, and that it sent. */
  readonly received: number
  readonly sent: number
  /** Microseconds that it worked. */
  readonly busy: number
  readonly memory: number
  readonly keys: number
  readonly connections: number
}

export async function readRedis(redis: RunningRedis): Promise<RedisFigures> {
  const text = await redis.cli('info', 'everything')
  const all = [...text.matchAll(/^cmdstat_(\S+):calls=(\d+),usec=(\d+)/gm)].filter(([, name]) => name !== 'info')
  const calls = (wanted: (name: string) => boolean) =>
    all.reduce((sum, [, name = '', count]) => (wanted(name) ? sum + Number(count) : sum), 0)
  const figure = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  const isScript = (name: string) => name === 'eval' || name === 'evalsha'
  const ownTime = all.reduce((sum, [, name = '', , time]) => (isScript(name) ? sum + Number(time) : sum), 0)
  return {
    scripts: calls(isScript),
    commands: calls(() => true),
    published: calls((name) => name === 'publish'),
    received: figure('total_net_input_bytes'),
    sent: figure('total_net_output_bytes'),
    busy: ownTime,
    memory: figure('used_memory'),
    keys: Number(/^db0:keys=(\d+)/m.exec(text)?.[1] ?? 0),
    connections: figure('connected_clients') - 1,
  }
}
