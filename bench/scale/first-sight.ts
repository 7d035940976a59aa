import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { type Issuer, listener, scope, trustedIssuer } from './tokens.ts'
import { compare } from './turns.ts'
import { asMicroseconds, atMost, type Verdict } from './verdict.ts'

/** More than any turns of these lengths use up. */
const mostPerSecond = 6000

/** What it costs to see an RS256 token for the first time, on top of a request whose token is remembered. */
export async function* firstSight(stage: Stage): AsyncGenerator<Verdict> {
  const { rounds, seconds } = stage.pace
  const needed = Math.ceil((rounds + 2) * (seconds + 1) * mostPerSecond)
  const tokens = await signMany(stage.issuer, needed)
  const gateway = await stage.startGateway(`${listener}${trustedIssuer}
routes: [{ path: /customers/**, require: { scopes: [${scope}] }, upstream: "${stage.upstreamUrl}" }]
`)
  const [known = ''] = tokens
  let next = 0
  const nextNew = () => {
    const token = tokens[++next]
    if (token === undefined) throw new Error(`${needed} tokens were too few`)
    return requestOf('/customers/7', token)
  }
  const again = requestOf('/customers/7', known)
  const { difference, more } = await compare(
    { running: gateway, nextRequest: nextNew },
    { running: gateway, nextRequest: () => again },
    stage.pace,
  )
  yield atMost({
    what: `first sight of an RS256 token of ${known.length} characters, on top of a remembered one`,
    ...{ value: difference, must: 60, write: asMicroseconds, more: `${more}, ${next} tokens` },
  })
}

/** Signing with RSA takes as long as ten verifications, so every core helps. */
async function signMany({ rsaKey }: Issuer, count: number): Promise<string[]> {
  const workers = availableParallelism()
  const key = rsaKey.privateKey.export({ format: 'pem', type: 'pkcs8' })
  const share = Math.ceil(count / workers)
  const signed = await Promise.all(
    Array.from({ length: workers }, (_, index) =>
      signIn(
        new Worker(new URL('signer.ts', import.meta.url), { workerData: { key, from: index * share, count: share } }),
      ),
    ),
  )
  return signed.flat()
}

function signIn(worker: Worker): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>()
  worker.once('message', resolve)
  worker.once('error', reject)
  return promise
}
