import { setTimeout as pause } from 'node:timers/promises'
import { startLoad } from '../load.ts'
import { memoryOf } from '../usage.ts'
import { requestOf } from './requests.ts'
import type { Gateway, Stage } from './stage.ts'
import { listener, scope, signToken, trustedIssuer } from './tokens.ts'
import { asCount, asMebibytes, atMost, told, type Verdict } from './verdict.ts'

/** So many are remembered at the most; memory may grow until then, and not after it. */
const full = 100_000
const interval = 250

/** Whether memory stays bounded however many different tokens come by, each of them once. */
export async function* passing(stage: Stage): AsyncGenerator<Verdict> {
  const gateway = await stage.startGateway(`${listener}${trustedIssuer}
routes: [{ path: /customers/**, require: { scopes: [${scope}] }, upstream: "${stage.upstreamUrl}" }]
`)
  const before = await gateway.heap()
  const whenFull = Math.min(1.2 * full, stage.passing / 2)
  const startedAt = performance.now()
  let passed = await passUntil(whenFull, 0, gateway, stage)
  const filled = { heap: await gateway.heap(), pss: memoryOf(gateway.pid) }
  passed = await passUntil(stage.passing, passed, gateway, stage)
  const seconds = (performance.now() - startedAt) / 1000
  const after = { heap: await gateway.heap(), pss: memoryOf(gateway.pid) }
  yield told('tokens passed', asCount(passed), `${(passed / seconds).toFixed(0)} a second, ES256, signed meanwhile`)
  yield told(`heap after ${asCount(whenFull)}`, asMebibytes(filled.heap), `${asMebibytes(before)} at the start`)
  yield atMost({
    what: `growth of the heap from ${asCount(whenFull)} to ${asCount(passed)} tokens`,
    ...{ value: after.heap - filled.heap, must: 5 * 1024 ** 2, write: asMebibytes },
    more: whenFull < full ? `${asCount(full)} have a place: with fewer than twice as many it may grow` : '',
  })
  yield told('PSS', asMebibytes(after.pss), `${asMebibytes(filled.pss)} before`)
}

async function passUntil(count: number, from: number, gateway: Gateway, { issuer }: Stage): Promise<number> {
  let number = from
  const load = await startLoad(gateway.port, () => requestOf('/customers/7', signToken(issuer.ellipticKey, number++)))
  let failures = 0
  while (number < count) {
    await pause(interval)
    gateway.emptyLog()
    failures += load.take().failures
  }
  await load.stop()
  if (failures > 0) throw new Error(`${failures} requests failed`)
  return number
}
