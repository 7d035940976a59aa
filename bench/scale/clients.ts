import { startTokenEndpoint } from '../token-endpoint.ts'
import { inTurn, requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { listener } from './tokens.ts'
import { askForAll, compare } from './turns.ts'
import { asKibibytes, asRatio, atMost, told, type Verdict } from './verdict.ts'

const many = 10_000
const life = 86_400_000
const pathOf = (index: number) => `/partner-${index}/customers/7`

/** Whether a request costs more where each of many routes has a client of its own, and what a client takes. */
export async function* clients(stage: Stage): AsyncGenerator<Verdict> {
  const endpoint = await startTokenEndpoint({ expiresAt: (now) => now + life })
  stage.atEnd(() => endpoint.stop())
  const startWith = (count: number) =>
    stage.startGateway(writeConfig(stage, endpoint.url, count), { SECRET: 's3cret-of-all' })
  const [own, shared] = [await startWith(many), await startWith(1)]
  const configured = { own: await own.heap(), shared: await shared.heap() }
  const perClient = (bytes: number) => asKibibytes(bytes / many)
  yield told('heap for each client, before its first token', perClient(configured.own - configured.shared))

  const requests = Array.from({ length: many }, (_, index) => requestOf(pathOf(index)))
  const startedAt = performance.now()
  await askForAll(own, requests)
  const seconds = (performance.now() - startedAt) / 1000
  await askForAll(shared, requests)
  yield atMost({
    what: `token requests of ${many} clients and one`,
    ...{ value: endpoint.issued.length, must: many + 1, write: String },
    more: `${(many / seconds).toFixed(0)} a second, ${endpoint.mostAtOnce()} at once at the most`,
  })
  const heaps = { own: await own.heap(), shared: await shared.heap() }
  const grown = heaps.own - configured.own - (heaps.shared - configured.shared)
  yield told('heap for each token in memory', perClient(grown))
  const { ratio, more } = await compare(
    { running: own, nextRequest: inTurn(requests) },
    { running: shared, nextRequest: inTurn(requests) },
    stage.pace,
  )
  yield atMost({
    what: `CPU per request over ${many} routes with a client each to that with one client for all`,
    ...{ value: ratio, must: 1.06, write: asRatio, more },
  })
  yield atMost({
    what: 'token requests after that',
    ...{ value: endpoint.issued.length, must: many + 1, write: String },
  })
}

function writeConfig({ upstreamUrl }: Stage, endpoint: string, count: number): string {
  const indices = Array.from({ length: many }, (_, index) => index)
  const clientLine = (index: number) =>
    `  client-${index}: { authorization_server: partner, client_id: client-${index}, client_secret: "\${env:SECRET}" }`
  const routeLine = (index: number) =>
    `  - { path: /partner-${index}/**, callers: { networks: [loopback] }, token: { client: client-${index % count} }, upstream: "${upstreamUrl}" }`
  return `${listener}
authorization_servers: { partner: { token_endpoint: "${endpoint}" } }
clients:
${indices.slice(0, count).map(clientLine).join('\n')}
routes:
${indices.map(routeLine).join('\n')}
`
}
