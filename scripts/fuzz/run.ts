import { createRandom, deriveSeed } from '../random.ts'
import { createConfiguration, goodConfigurations, keepNamesAtHome, tryConfiguration } from './configurations.ts'
import { exchange } from './exchange.ts'
import { createRequestCase, type RequestCase, withTokens } from './requests.ts'
import { type Stage, startStage } from './stage.ts'
import { objectionTo } from './token-oracle.ts'
import { createTokenCase, type TokenCase } from './tokens.ts'

export const kinds = ['requests', 'tokens', 'configurations'] as const
export type Kind = (typeof kinds)[number]

export interface FuzzWish {
  readonly seed: number
  readonly only?: readonly Kind[]
  /** How long, and how many cases of each kind at most; whichever is reached first. */
  readonly seconds?: number
  readonly cases?: number
  /** The only case of its kind that is run. */
  readonly single?: number
}

/** A case that broke what must hold. */
export interface Broken {
  readonly kind: Kind
  /** Missing where it could not be told which of a batch it was. */
  readonly index: number | undefined
  readonly faults: readonly string[]
  readonly input: string
}

export interface FuzzReport {
  readonly broken: readonly Broken[]
  readonly cases: Readonly<Record<Kind, number>>
  /** How often each answer came, such as `401 invalid_token`. */
  readonly answers: ReadonlyMap<string, number>
  /** How many requests got through to an upstream. */
  readonly arrived: number
  readonly accepted: number
  /** Bytes that the gateway held at its end. */
  readonly memory: number
}

const batchSizes: Readonly<Record<Kind, number>> = { requests: 200, tokens: 200, configurations: 50 }
/** Connections that are left to themselves, until the gateway closes them. */
const mostWaiting = 500
/** Who has found so much needs no more. */
const mostBroken = 10

/** Runs batch after batch, of one kind after the other. */
export async function fuzz({
  seed,
  only = kinds,
  seconds,
  cases = Number.POSITIVE_INFINITY,
  single,
}: FuzzWish): Promise<FuzzReport> {
  const end = performance.now() + (seconds ?? Number.POSITIVE_INFINITY) * 1000
  const run = createRun(seed)
  const restore = keepNamesAtHome()
  const foreign = (error: unknown) => run.unforeseen.push(error instanceof Error ? `${error.stack}` : String(error))
  process.on('uncaughtException', foreign).on('unhandledRejection', foreign)
  try {
    const open = new Set(only)
    while (open.size > 0 && performance.now() < end && run.broken.length < mostBroken) {
      for (const kind of [...open]) {
        const from = single ?? run.cases[kind]
        const count = single === undefined ? Math.min(batchSizes[kind], cases - run.cases[kind]) : 1
        const indices = Array.from({ length: count }, (_, at) => from + at)
        if (kind === 'configurations') await run.configurations(indices)
        else await run.sendings(kind, indices)
        if (single !== undefined || run.cases[kind] >= cases) open.delete(kind)
      }
    }
    await run.finish()
  } finally {
    process.off('uncaughtException', foreign).off('unhandledRejection', foreign)
    restore()
  }
  return run
}

function createRun(seed: number) {
  const broken: Broken[] = []
  const answers = new Map<string, number>()
  const cases: Record<Kind, number> = { requests: 0, tokens: 0, configurations: 0 }
  /** What came up in this process, which reads the configurations. */
  const unforeseen: string[] = []
  const waiting = new Set<Promise<unknown>>()
  let stage: Stage | undefined
  const run = {
    broken,
    answers,
    cases,
    unforeseen,
    arrived: 0,
    accepted: 0,
    memory: 0,
    configurations,
    sendings,
    finish,
  }
  return run

  async function configurations(indices: readonly number[]): Promise<void> {
    for (const index of indices) {
      const unchanged = goodConfigurations[index]
      const text = unchanged ?? createConfiguration(createRandom(deriveSeed(seed, 'configurations', index)))
      const { accepted, faults } = await tryConfiguration(text)
      await new Promise((resolve) => setImmediate(resolve))
      const all = [...faults, ...(unchanged && !accepted ? ['it is good, and refused'] : []), ...unforeseen.splice(0)]
      cases.configurations++
      run.accepted += accepted ? 1 : 0
      count(accepted ? 'configuration accepted' : 'configuration refused')
      if (all.length > 0) broken.push({ kind: 'configurations', index, faults: all, input: text })
    }
  }

  async function sendings(kind: 'requests' | 'tokens', indices: readonly number[]): Promise<void> {
    stage ??= await startStage()
    const current = stage
    const made = indices.map((index) => ({ index, made: createSending(kind, index, current) }))
    const sent = made.map(async ({ index, made: each }) => {
      const faults = await send(each, current)
      if (faults.length > 0) broken.push({ kind, index, faults, input: JSON.stringify(each) })
    })
    cases[kind] += indices.length
    // Those that wait for the gateway to close wait beside the next ones.
    await Promise.all(sent.filter((_, at) => made[at]?.made.manner !== 'waits'))
    for (const one of sent) {
      waiting.add(one)
      void one.then(() => waiting.delete(one))
    }
    while (waiting.size > mostWaiting) await Promise.race(waiting)
    const faults = [...(await current.serves()), ...current.takeFaults(), ...unforeseen.splice(0)]
    if (faults.length > 0) broken.push(await blame(kind, indices, faults))
  }

  /** Runs the cases of a batch again, one after the other, each in front of a gateway that has seen no other fault. */
  async function blame(
    kind: 'requests' | 'tokens',
    indices: readonly number[],
    faults: readonly string[],
  ): Promise<Broken> {
    await Promise.all(waiting)
    await stage?.stop()
    stage = await startStage()
    for (const index of indices) {
      const made = createSending(kind, index, stage)
      await send(made, stage)
      const again = [...(await stage.serves()), ...stage.takeFaults()]
      if (again.length > 0) {
        await stage.stop()
        stage = undefined
        return { kind, index, faults: again, input: JSON.stringify(made) }
      }
    }
    return { kind, index: undefined, faults, input: `one of ${indices[0]} to ${indices.at(-1)}, or several together` }
  }

  function createSending(kind: 'requests' | 'tokens', index: number, { keys }: Stage): RequestCase | TokenCase {
    const random = createRandom(deriveSeed(seed, kind, index))
    return kind === 'tokens' ? createTokenCase(random, keys) : createRequestCase(random)
  }

  async function send(made: RequestCase | TokenCase, { ports, tokens, keys }: Stage): Promise<string[]> {
    const { received, closed } = await exchange(ports[made.listener], {
      ...made,
      bytes: withTokens(made.bytes, tokens),
    })
    // What comes behind a 101 is no HTTP.
    const [read = ''] = received.split(/(?<=HTTP\/1\.1 101 [^\r]*\r\n)/, 1)
    const statuses = [...read.matchAll(/HTTP\/1\.1 (\d{3}) [^\r]*\r\n/g)].map(([, status]) => status ?? '')
    const codes = [...read.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code ?? '')
    const named = statuses.filter((status) => status >= '400')
    for (const status of statuses) count(status < '400' ? status : `${status} ${codes[named.indexOf(status)] ?? ''}`)
    if (statuses.length === 0) count('no answer')
    const good = 'good' in made && made.good
    return [
      ...(closed ? [] : ['its connection was neither answered to the end nor closed']),
      ...(statuses.includes('500') ? [`it is answered 500: ${read.slice(-400)}`] : []),
      ...(/eyJ[\w-]{6,}\.eyJ/.test(read) ? ['a token comes back in the answer'] : []),
      ...(good && statuses[0] !== '200' ? [`a good token is answered ${statuses} ${codes}`] : []),
      ...(good && objectionTo(made.token, keys) ? ['the judge would refuse what is good'] : []),
    ]
  }

  function count(what: string): void {
    answers.set(what, (answers.get(what) ?? 0) + 1)
  }

  async function finish(): Promise<void> {
    await Promise.all(waiting)
    if (!stage) return
    const faults = [...(await stage.serves()), ...(await stage.isQuiet()), ...stage.takeFaults()]
    if (faults.length > 0) broken.push({ kind: 'requests', index: undefined, faults, input: 'all of them together' })
    run.arrived = stage.arrived()
    run.memory = (await stage.gateway.usage().catch(() => ({ memory: 0 }))).memory
    await stage.stop()
  }
}
