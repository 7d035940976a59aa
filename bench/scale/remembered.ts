import { setTimeout as pause } from 'node:timers/promises'
import { createStaticKeySet } from '../../src/authorization-server/static-key-set.ts'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { createAccessTokenVerifier } from '../../src/ingress/access-token.ts'
import { accessTokenOptions } from '../../src/ingress/access-token-options.ts'
import { inTurn, requestOf } from './requests.ts'
import type { Stage } from './stage.ts'
import { audience, type Issuer, issuerName, listener, scope, signToken, trustedIssuer } from './tokens.ts'
import { askForAll, compare } from './turns.ts'
import { asMebibytes, asRatio, atMost, told, type Verdict } from './verdict.ts'

const many = 10_000
const most = 100_000

/** Whether remembered tokens cost more where there are many of them, and what they take. */
export async function* remembered(stage: Stage): AsyncGenerator<Verdict> {
  const { issuer } = stage
  await verify(createVerifier(issuer), issuer, { from: 0, to: 3000 })
  const verifier = createVerifier(issuer)
  const empty = await alive()
  await verify(verifier, issuer, { from: 0, to: many })
  const full = (await alive()) - empty
  yield atMost({
    what: `heap for ${many} remembered tokens`,
    ...{ value: full, must: 5 * 1024 ** 2, write: asMebibytes, more: `${(full / many).toFixed(0)} bytes each` },
  })
  await verify(verifier, issuer, { from: many, to: most })
  const fullest = (await alive()) - empty
  yield told(`heap for ${most}`, asMebibytes(fullest), `${(fullest / most).toFixed(0)} bytes each`)

  const yaml = `${listener}${trustedIssuer}
routes: [{ path: /customers/**, require: { scopes: [${scope}] }, upstream: "${stage.upstreamUrl}" }]
`
  const requests = Array.from({ length: many }, (_, number) =>
    requestOf('/customers/7', signToken(issuer.ellipticKey, number)),
  )
  const [one, other] = [await stage.startGateway(yaml), await stage.startGateway(yaml)]
  await askForAll(one, requests)
  const { ratio, more } = await compare(
    { running: one, nextRequest: inTurn(requests) },
    { running: other, nextRequest: inTurn(requests.slice(0, 1)) },
    stage.pace,
  )
  yield atMost({
    what: `CPU per request with ${many} tokens by turns to that with one`,
    ...{ value: ratio, must: 1.06, write: asRatio, more },
  })
}

/** The judge that a gateway has, in this process: nothing else grows beside what it remembers. */
function createVerifier({ jwks }: Issuer) {
  const keys = createStaticKeySet(new Secret(() => jwks), 'sso')
  const options = accessTokenOptions.parse({ audience })
  return createAccessTokenVerifier([{ name: 'sso', issuers: [issuerName], keys, options }], { clock: systemClock })
}

async function verify(
  verifier: ReturnType<typeof createVerifier>,
  { ellipticKey }: Issuer,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  for (let number = from; number < to; number++) await verifier.verify(signToken(ellipticKey, number))
}

/** Bytes of the heap, and of what it holds outside, after all garbage has been collected. */
async function alive(): Promise<number> {
  if (!globalThis.gc) throw new Error('run it with --expose-gc')
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc()
    await pause(50)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
