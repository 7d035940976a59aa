import { inTurn, requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { listener, scope, signToken, trustedIssuer } from './tokens.ts'
import { askForAll, compare } from './turns.ts'
import { asKibibytes, asRatio, atMost, told, type Verdict } from './verdict.ts'

const few = 10
const many = 10_000
/** What a path in the middle of real ones looks like. */
const pathOf = (index: number) => `/service-${index}/customers/7`

/** Whether a request costs more where there are many routes. */
export async function* routes(stage: Stage): AsyncGenerator<Verdict> {
  const [small, large] = [await startWith(stage, few), await startWith(stage, many)]
  yield told('ready after', `${small.seconds.toFixed(1)} s with ${few}, ${large.seconds.toFixed(1)} s with ${many}`)
  const heaps = [await small.gateway.heap(), await large.gateway.heap()] as const
  yield told('heap for each route, before its first request', asKibibytes((heaps[1] - heaps[0]) / (many - few)))

  const token = signToken(stage.issuer.ellipticKey, 0)
  const last = (count: number) => inTurn([requestOf(pathOf(count - 1), token)])
  const atTheLast = await compare(
    { running: large.gateway, nextRequest: last(many) },
    { running: small.gateway, nextRequest: last(few) },
    stage.pace,
  )
  yield atMost({
    what: `CPU per request at the last of ${many} routes to that of ${few}`,
    ...{ value: atTheLast.ratio, must: 1.05, write: asRatio, more: atTheLast.more },
  })
  const all = (count: number) => Array.from({ length: count }, (_, index) => requestOf(pathOf(index), token))
  await askForAll(large.gateway, all(many))
  const spreadOver = await compare(
    { running: large.gateway, nextRequest: inTurn(all(many)) },
    { running: small.gateway, nextRequest: inTurn(all(few)) },
    stage.pace,
  )
  yield atMost({
    what: `CPU per request over all of ${many} routes to all of ${few}`,
    ...{ value: spreadOver.ratio, must: 1.05, write: asRatio, more: spreadOver.more },
  })
  yield told(
    'heap for each route, after requests to all',
    asKibibytes(((await large.gateway.heap()) - heaps[1]) / many),
  )
}

async function startWith(stage: Stage, count: number) {
  const lines = Array.from(
    { length: count },
    (_, index) =>
      `  - { path: /service-${index}/**, require: { scopes: [${scope}] }, upstream: "${stage.upstreamUrl}" }`,
  )
  const startedAt = performance.now()
  const gateway = await stage.startGateway(`${listener}${trustedIssuer}\nroutes:\n${lines.join('\n')}\n`)
  return { gateway, seconds: (performance.now() - startedAt) / 1000 }
}
