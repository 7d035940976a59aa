import { decodeJwt } from 'jose'
import { eventually, type Reply, type Stage } from './stage.ts'

/** A line of the table. */
export interface Row {
  readonly tried: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly note: string
}

/** The server has another answer than the one that was told. */
class NotAsTold extends Error {}

/** Tries one thing. Whatever goes wrong is a failed row. */
export async function tryOut(tried: string, attempt: () => Promise<string>): Promise<Row> {
  try {
    return { tried, outcome: 'passed', note: await attempt() }
  } catch (error) {
    return { tried, outcome: 'failed', note: error instanceof Error ? error.message : 'for no reason' }
  }
}

/** A token is fetched for the first request, kept for the next, and renewed before it expires. Gives back what was seen. */
export async function walkEgress(stage: Stage): Promise<string> {
  const first = await stage.call('/sent')
  requireReply(first, first.status === 200 && first.tokenSource === 'fetched' && first.arrived !== undefined)
  const second = await stage.call('/sent')
  requireReply(second, second.tokenSource === 'memory' && second.arrived === first.arrived)
  await requireRenewal(stage)
  return 'token fetched, kept, renewed before it expires'
}

/** By a clock that is turned on to where a token is to be renewed, and is still good. */
async function requireRenewal({ tokens, clock }: Stage): Promise<void> {
  const old = await tokens.get('tried')
  const life = old.expiresAt - clock.now()
  if (life <= 0) throw new NotAsTold('the server gave a token without any life, so none is kept')
  // 60 s before the end, or at half of a shorter life, renewal begins: this is well behind that, and the token still good.
  clock.skip(life - Math.min(60_000, life / 2) / 2)
  const meanwhile = await tokens.get('tried')
  if (meanwhile.value.read() !== old.value.read() || meanwhile.source !== 'memory')
    throw new NotAsTold('the token in use was not kept until its successor was there')
  await eventually(async () => {
    const { value, source } = await tokens.get('tried')
    return source === 'memory' && value.read() !== old.value.read() ? value : undefined
  }).catch(() => {
    throw new NotAsTold('no other token came before the old one expired')
  })
}

/** What a route that requires a token does with this one, and with what is wrong about it. */
export async function walkIngress(stage: Stage, token: string): Promise<Row[]> {
  const { exp } = decodeJwt(token)
  return [
    await tryOut('a good token', async () => {
      const reply = await stage.call('/guarded', token)
      requireReply(reply, reply.status === 200 && reply.arrived === token)
      return '200'
    }),
    await tryRefusal('no token', () => stage.call('/guarded'), '401 token_required'),
    await tryRefusal(
      'a changed signature',
      () => stage.call('/guarded', withOtherSignature(token)),
      '401 invalid_token',
    ),
    await tryRefusal('a missing scope', () => stage.call('/beyond', token), '403 insufficient_scope'),
    await tryRefusal(
      'an expired token',
      () => {
        // Past the tolerance for clocks that differ.
        stage.clock.skip((exp ?? 0) * 1000 - stage.clock.now() + 60_000)
        return stage.call('/guarded', token)
      },
      '401 invalid_token',
    ),
  ]
}

function tryRefusal(tried: string, call: () => Promise<Reply>, wanted: string): Promise<Row> {
  return tryOut(tried, async () => {
    const reply = await call()
    requireReply(reply, `${reply.status} ${reply.code}` === wanted && reply.arrived === undefined)
    return `refused: ${wanted}`
  })
}

function requireReply({ status, code, reason }: Reply, holds: boolean): void {
  if (!holds) throw new NotAsTold([`${status} ${code}`, reason].filter((part) => part !== undefined).join(': '))
}

/** The last character holds bits that do not count: another one may mean the same signature. */
function withOtherSignature(token: string): string {
  const at = token.lastIndexOf('.') + 1
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
}
