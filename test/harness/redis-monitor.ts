import { once } from 'node:events'
import { createConnection } from 'node:net'
import type { RunningRedis } from './redis.ts'

/** Listens to everything that a Redis is told from now on, by whomever; what it answers is not in it. */
export async function monitorRedis({ port }: Pick<RunningRedis, 'port'>): Promise<() => string> {
  const socket = createConnection(port, '127.0.0.1')
  const told: Buffer[] = []
  socket.write('MONITOR\r\n')
  await once(socket, 'data')
  socket.on('data', (piece: Buffer) => void told.push(piece))
  return () => {
    socket.destroy()
    return Buffer.concat(told).toString('latin1')
  }
}

/** The names of all keys, and what is kept under each, as it is and as `DUMP` gives it. */
export async function readRedis(redis: RunningRedis): Promise<{ readonly names: string[]; readonly text: string }> {
  const names = (await redis.cli('--scan')).split('\n').filter((name) => name !== '')
  const texts = await Promise.all(
    names.map(async (name) => `${name} ${await redis.cli('get', name)} ${await redis.cli('dump', name)}`),
  )
  return { names, text: texts.join('\n') }
}
