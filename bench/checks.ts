import type { AuthorizationServer } from '../test/harness/authorization-server.ts'
import type { Contender } from './contenders.ts'
import type { Upstream } from './load.ts'

/** Tokens that are good, and that are not, each for one reason. */
export interface Tokens {
  readonly good: string
  readonly bad: Readonly<Record<string, string>>
}

export async function createTokens(sso: AuthorizationServer): Promise<Tokens> {
  const good = await sso.issueToken({ scope: 'customer.read' })
  const now = Math.floor(Date.now() / 1000)
  const client = { sub: sso.client.client_id, client_id: sso.client.client_id }
  const claims = { ...client, scope: 'customer.read' }
  return {
    good,
    bad: {
      'bad signature': withBadSignature(good),
      'missing scope': await sso.issueToken({ scope: 'country.read' }),
      'similar scopes alone': await sso.signToken({ ...claims, scope: 'customer.reading old-customer.read' }),
      'expired token': await sso.signToken({ ...claims, iat: now - 7200, exp: now - 3600 }),
      'foreign issuer': await sso.signToken({ ...claims, iss: 'https://sso.example' }),
      'foreign audience': await sso.signToken({ ...claims, aud: 'https://other.example' }),
    },
  }
}

function withBadSignature(token: string): string {
  const middle = token.lastIndexOf('.') + 100
  return `${token.slice(0, middle)}${token[middle] === 'A' ? 'B' : 'A'}${token.slice(middle + 1)}`
}

/**
 * Only who does the work is measured.
 * @throws {Error} if the contender lets in what it must refuse, refuses what is good, or attaches no token
 */
export async function checkContender(
  { validates, attaches }: Pick<Contender, 'validates' | 'attaches'>,
  { port, tokens, upstream }: { readonly port: number; readonly tokens: Tokens; readonly upstream: Upstream },
): Promise<void> {
  const statusWith = async (token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await fetch(`http://127.0.0.1:${port}/customers/7`, { headers })
    await answer.arrayBuffer()
    return answer.status
  }
  const must = (what: string, status: number, ...expected: number[]) => {
    if (!expected.includes(status)) throw new Error(`${what}: answered ${status}, not ${expected.join(' or ')}`)
  }
  must('a good token', await statusWith(tokens.good), 200)
  const [, arrived] = /^authorization: bearer (.*)$/im.exec(upstream.lastHead()) ?? []
  if (attaches && (arrived === undefined || arrived === tokens.good)) throw new Error('no token was attached')
  if (!validates) return
  must('no token', await statusWith(), 401)
  for (const [fault, token] of Object.entries(tokens.bad)) must(fault, await statusWith(token), 401, 403)
  must('a good token, after the others', await statusWith(tokens.good), 200)
}
