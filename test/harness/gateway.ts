import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Clock } from '../../src/base/clock.ts'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { GatewayListener } from '../../src/door.ts'
import { createGateway, type Gateway } from '../../src/gateway.ts'
import { type Listening, listen } from './listen.ts'
import { createTestLog, type LogEntry, type TestLog } from './logs.ts'

export interface RunningGateway extends Listening {
  readonly url: string
  readonly gateway: Gateway
  readonly log: TestLog
  /** The line of the last request. */
  lastLine(): LogEntry
  /** Opens one more of the configuration's listeners, on a free port, which it gives back. */
  open(listener: string): Promise<number>
}

export interface GatewayWish {
  readonly env?: Readonly<Record<string, string>>
  readonly clock?: Clock
  /** Without it, the one that the configuration names first. */
  readonly listener?: string
}

/** A gateway on a free port, made of the YAML text as `serve` makes one. */
export async function startGateway(
  yaml: string,
  { env = {}, clock, listener }: GatewayWish = {},
): Promise<RunningGateway> {
  const log = createTestLog()
  const config = parseConfig(yaml, { file: 'test.yaml', env })
  const gateway = createGateway(config, { log: createLog(log), ...(clock && { clock }) })
  const listenings: Listening[] = []
  const open = async (door: GatewayListener) => {
    const { encrypted, serverOptions, handler } = door
    const server = encrypted ? createTlsServer(serverOptions, handler) : createServer(serverOptions, handler)
    door.attach(server)
    const listening = await listen(server)
    listenings.push(listening)
    return listening
  }
  const listening = await open(listener === undefined ? gateway : gateway.listener(listener))
  return {
    ...listening,
    url: `http://127.0.0.1:${listening.port}`,
    gateway,
    log,
    lastLine() {
      const line = log.find({ msg: 'request' }).at(-1)
      if (!line) throw new Error('no request was logged')
      return line
    },
    open: async (name) => (await open(gateway.listener(name))).port,
    async stop() {
      await Promise.all(listenings.map((one) => one.stop()))
      await gateway.close()
    },
  }
}
