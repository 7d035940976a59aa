import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Upstream } from '../load.ts'
import { type RunningNode, startNodeProgram } from '../processes.ts'
import type { Issuer } from './tokens.ts'
import type { Pace } from './turns.ts'

/** What every case has around it. */
export interface Stage {
  readonly pace: Pace
  /** How many different tokens pass through in the case that is about that. */
  readonly passing: number
  /** Bytes of each body in the case that is about bodies. */
  readonly bodyBytes: number
  readonly folder: string
  readonly upstream: Upstream
  readonly upstreamUrl: string
  readonly issuer: Issuer
  /** `scopegate serve` with this configuration, stopped when the case is over. */
  startGateway(yaml: string, env?: Readonly<Record<string, string>>): Promise<Gateway>
  /** Any program that says where it listens. */
  start(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<RunningNode>
  /** Called when the case is over, the last one first. */
  atEnd(stop: () => Promise<unknown>): void
}

/** A gateway that can be looked into. */
export interface Gateway extends RunningNode {
  /** Bytes that are alive after a garbage collection: of the heap, and of what it holds outside. */
  heap(): Promise<number>
}

const mostWait = 20_000
const main = pathOf('../../dist/cli/main.js')
const tellHeap = new URL('../../scripts/tell-heap.ts', import.meta.url).href

/** The stage of one case, and what clears it. */
export function setStage(around: Pick<Stage, 'pace' | 'passing' | 'bodyBytes' | 'folder' | 'upstream' | 'issuer'>): {
  readonly stage: Stage
  clear(): Promise<void>
} {
  const ends: (() => Promise<unknown>)[] = []
  // None is used twice: a log that is there already would tell of another program.
  const place = () => mkdtempSync(join(around.folder, 'program-'))
  const start = async (args: readonly string[], env = {}, folder = place()) => {
    const running = await startNodeProgram({ args, env, logFile: join(folder, 'log') }, around.pace.cores)
    ends.push(() => running.stop())
    return { running, folder }
  }
  const stage: Stage = {
    ...around,
    upstreamUrl: `http://127.0.0.1:${around.upstream.port}`,
    async startGateway(yaml, env) {
      const folder = place()
      const file = join(folder, 'scopegate.yaml')
      writeFileSync(file, yaml)
      writeFileSync(join(folder, 'keys.json'), around.issuer.jwks)
      const told = ['--expose-gc', '--import', tellHeap]
      const { running } = await start([...told, main, 'serve', '--config', file], env, folder)
      return { ...running, heap: () => heapOf(running, join(folder, 'log')) }
    },
    start: async (args, env) => (await start(args, env)).running,
    atEnd: (stop) => void ends.push(stop),
  }
  return {
    stage,
    async clear() {
      for (const end of ends.reverse()) await end()
    },
  }
}

async function heapOf({ pid, emptyLog }: RunningNode, log: string): Promise<number> {
  emptyLog()
  process.kill(pid, 'SIGUSR2')
  const until = Date.now() + mostWait
  while (Date.now() < until) {
    await pause(50)
    const [, used, external] = /"msg":"heap".*"used":(\d+),"external":(\d+)}\n/.exec(readFileSync(log, 'utf8')) ?? []
    if (used !== undefined) return Number(used) + Number(external)
  }
  throw new Error('the gateway did not tell its heap')
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}
