/**
 * Requests, tokens and configurations that nobody would think of, made from a seed, until the time is over.
 * `npm run fuzz -- [--seconds 120] [--seed N] [--only requests|tokens|configurations] [--case INDEX]`; ends with figures,
 * and with exit code 1 if anything broke. What broke is printed with the command that makes it again.
 */
import { parseArgs } from 'node:util'
import { setup } from '../test/global-setup.ts'
import { type FuzzReport, fuzz, type Kind, kinds } from './fuzz/run.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    only: { type: 'string', multiple: true },
    case: { type: 'string' },
  },
})
const seed = Number(values.seed)
const seconds = Number(values.seconds)
const only = values.only?.filter((name): name is Kind => kinds.some((kind) => kind === name))
if (!Number.isInteger(seed) || !(seconds > 0) || only?.length !== values.only?.length)
  throw new TypeError(`usage: npm run fuzz -- [--seconds N] [--seed N] [--only ${kinds.join('|')}] [--case INDEX]`)

const lookThroughRecords = setup()
const report = await fuzz({
  seed,
  seconds,
  ...(only && { only }),
  ...(values.case !== undefined && { single: Number(values.case) }),
})
lookThroughRecords()
process.stdout.write(`${formatReport(report)}\n`, () => process.exit(report.broken.length === 0 ? 0 : 1))

function formatReport({ broken, cases, answers, arrived, accepted, memory }: FuzzReport): string {
  const found = broken.map(({ kind, index, faults, input }) => {
    const again = index === undefined ? '' : ` --case ${index}`
    return `BROKEN  npm run fuzz -- --seed ${seed} --only ${kind}${again}\n  ${faults.join('\n  ')}\n  ${shorten(input)}\n`
  })
  return `${found.join('\n')}
seed ${seed}
cases       ${kinds.map((kind) => `${kind} ${cases[kind]}`).join(', ')}
arrived     ${arrived} requests at an upstream, each looked at
accepted    ${accepted} configurations
memory      ${(memory / 1024 / 1024).toFixed(1)} MiB
answers     ${[...answers]
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name}: ${count}`)
    .join('\n            ')}
${broken.length === 0 ? 'kept' : 'BROKEN'}`
}

/** Long runs of one character are said, not shown. */
function shorten(text: string): string {
  return text.replace(/(\\u0000|.)\1{60,}/g, (run, piece: string) => `${piece}(×${run.length / piece.length})`)
}
