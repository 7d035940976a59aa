import { list, type Tree, tree, written } from './raw-values.ts'
import type { Finding } from './references.ts'
import type { Path } from './yaml-document.ts'

/** An assertion is meant for the issuer, unless the client says otherwise. */
export function grantFindings({ grant_assertion: assertion }: Tree, server: Tree, path: Path): Finding[] {
  const forIssuer = (written(tree(assertion).audience) ?? 'issuer') === 'issuer'
  if (assertion === undefined || !forIssuer || server.issuer !== undefined || server.token_endpoint === undefined)
    return []
  const message =
    'is issuer, and the authorization server has none; give it its issuer, or say here token_endpoint or the audience itself'
  return [{ path: [...path, 'grant_assertion', 'audience'], message }]
}

/** What a client cannot exchange, and what its server may not take for what it is said to be. */
export function exchangeFindings({ token, require }: Tree, path: Path, root: Tree): Finding[] {
  const { exchange, client: name, subject_token_type: type } = tree(token)
  if (exchange === undefined) return []
  const client = tree(tree(root.clients)[written(name) ?? ''])
  if (written(client.grant) === 'jwt-bearer') {
    const message = `exchanges tokens by a client that gets its own by jwt-bearer; name one that authenticates itself, without a grant`
    return [{ path, message }]
  }
  const own = written(client.authorization_server) ?? ''
  const foreign = acceptedServers(require, root).filter((server) => !isSame(own, server, root))
  if (foreign.length === 0 || (written(type) ?? 'access_token') !== 'access_token') return []
  const message = `shows tokens of ${foreign.join(', ')} to ${own} as if they were its own: narrow require.issuers, or say what they are to it with subject_token_type: jwt`
  return [{ path, message, warning: true }]
}

/** The servers whose tokens callers may come in with. */
function acceptedServers(require: unknown, root: Tree): string[] {
  const servers = tree(root.authorization_servers)
  const trusted = Object.keys(servers).filter((name) => tree(servers[name]).access_tokens !== undefined)
  const { issuers } = tree(require)
  if (require === undefined || issuers === undefined) return require === undefined ? [] : trusted
  const named = list(issuers).map(written)
  return trusted.filter((name) => named.includes(name))
}

/** One server may stand there twice: once for what comes in, and once for what goes out. */
function isSame(one: string, other: string, root: Tree): boolean {
  const [issuer, others] = [one, other].map((name) => written(tree(tree(root.authorization_servers)[name]).issuer))
  return one === other || (issuer !== undefined && issuer === others)
}
