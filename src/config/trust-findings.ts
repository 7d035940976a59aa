import { isSignatureAlgorithm, signatureAlgorithmNames } from '../authorization-server/signature-algorithms.ts'
import { readStaticKeys } from '../authorization-server/static-key-set.ts'
import { size } from '../base/scalars.ts'
import { Substituted } from '../base/substituted.ts'
import { listenerOptions } from './listener.ts'
import { shown, type Tree, tree, written } from './raw-values.ts'
import type { Finding } from './references.ts'
import type { Path } from './yaml-document.ts'

/** What would never make a token good, or be of any use for it: issuers, keys and sizes that do not fit together. */
export function trustFindings(root: Tree): Finding[] {
  const servers = Object.entries(tree(root.authorization_servers)).map(([name, server]) => ({
    name,
    path: ['authorization_servers', name],
    server: tree(server),
  }))
  const clients = Object.values(tree(root.clients)).map(tree)
  const serversOf = (some: readonly Tree[]) => new Set(some.map((client) => written(client.authorization_server)))
  const used = serversOf(clients)
  const registering = serversOf(clients.filter(({ registration }) => registration !== undefined))
  return [
    ...issuerFindings(servers),
    ...servers.flatMap(({ name, server, path }) => [
      ...keySourceFindings(server, path),
      ...discoveryFindings(server, path, { hasClients: used.has(name), registers: registering.has(name) }),
      ...staticKeyFindings(server, path),
      ...sizeFindings(server, path, root.listeners),
    ]),
  ]
}

interface Server {
  readonly name: string
  readonly path: Path
  readonly server: Tree
}

/** An issuer decides which keys count, so no two servers may answer for the same one. */
function issuerFindings(servers: readonly Server[]): Finding[] {
  const owners = new Map<string, string>()
  const findings: Finding[] = []
  for (const { name, path, server } of servers) {
    if (server.access_tokens === undefined) continue
    const entries = trustedIssuers(server, path)
    if (entries.length === 0)
      findings.push({ path, message: 'has access_tokens and no issuer; give it issuer, or access_tokens.issuers' })
    for (const { at, value } of entries) {
      const issuer = written(value) ?? ''
      const owner = owners.get(issuer)
      if (issuer === '') continue
      if (owner === name) findings.push({ path: at, message: 'stands there twice', warning: true })
      else if (owner !== undefined)
        findings.push({
          path: at,
          message: `is ${shown(value)}, which ${owner} trusts too; one of them must not have access_tokens for it`,
        })
      else owners.set(issuer, name)
    }
  }
  return findings
}

function trustedIssuers({ issuer, access_tokens: accessTokens }: Tree, path: Path): { at: Path; value: unknown }[] {
  const { issuers } = tree(accessTokens)
  const at = [...path, 'access_tokens', 'issuers']
  if (Array.isArray(issuers)) return issuers.map((value: unknown, index) => ({ at: [...at, index], value }))
  if (issuers !== undefined) return [{ at, value: issuers }]
  return issuer === undefined ? [] : [{ at: [...path, 'issuer'], value: issuer }]
}

/** Keys are for the tokens that come in, and come from somewhere. */
function keySourceFindings(server: Tree, path: Path): Finding[] {
  const { issuer, jwks, jwks_uri: uri, keys, access_tokens: accessTokens } = server
  const findings: Finding[] = []
  if (accessTokens !== undefined && [issuer, jwks, uri].every((source) => source === undefined)) {
    const message = 'can check no token: the server has neither issuer nor jwks_uri nor jwks, to have keys from'
    if (trustedIssuers(server, path).length > 0) findings.push({ path: [...path, 'access_tokens'], message })
  }
  if (keys !== undefined && jwks !== undefined)
    findings.push({ path: [...path, 'keys'], message: 'is of no use beside jwks: those keys are never fetched' })
  if (accessTokens !== undefined) return findings
  const message = 'is of no use without access_tokens, whose signatures it is for'
  if (jwks !== undefined) findings.push({ path: [...path, 'jwks'], message })
  for (const [key, value] of Object.entries({ jwks_uri: uri, keys: jwks === undefined ? keys : undefined }))
    if (value !== undefined) findings.push({ path: [...path, key], message, warning: true })
  return findings
}

function discoveryFindings(
  server: Tree,
  path: Path,
  { hasClients, registers }: { readonly hasClients: boolean; readonly registers: boolean },
): Finding[] {
  const needsTokens =
    (hasClients && server.token_endpoint === undefined) || (registers && server.registration_endpoint === undefined)
  const needsKeys = server.jwks === undefined && server.jwks_uri === undefined
  if (server.discovery_url === undefined || needsTokens || needsKeys) return []
  const message =
    'is never asked: all that is needed of the server is given here; remove it, or what is to be discovered'
  return [{ path: [...path, 'discovery_url'], message, warning: true }]
}

function staticKeyFindings({ jwks, access_tokens: accessTokens }: Tree, path: Path): Finding[] {
  const text = jwks instanceof Substituted ? jwks.read() : jwks
  const read = typeof text === 'string' && accessTokens !== undefined ? readStaticKeys(text) : { fault: '' }
  if ('fault' in read) return []
  const at = [...path, 'jwks']
  if (read.keys.length === 0)
    return [{ path: at, message: 'holds the empty set: every token of the server is refused', warning: true }]
  const { algorithms } = tree(accessTokens)
  const accepted = algorithms === undefined ? signatureAlgorithmNames : [algorithms].flat().map(written)
  const known = accepted.filter(isSignatureAlgorithm)
  if (known.length < accepted.length || read.keys.some((key) => known.some((alg) => key.fits(alg)))) return []
  return algorithms === undefined
    ? [{ path: at, message: 'has no key for any algorithm that signs access tokens' }]
    : [{ path: [...path, 'access_tokens', 'algorithms'], message: 'names none that a key of jwks can do' }]
}

/** A listener refuses what is too large for it before anybody looks for a token in it. */
function sizeFindings({ access_tokens: accessTokens }: Tree, path: Path, listeners: unknown): Finding[] {
  const { success, data: wanted } = size('1MiB').safeParse(tree(accessTokens).max_token_size)
  if (!success) return []
  const each = listeners === undefined ? [{}] : Object.values(tree(listeners))
  const read = each.map((listener) => listenerOptions.safeParse(listener))
  if (!read.every(({ success, data }) => success && data.limits.header_size < wanted)) return []
  const message =
    'is more than the headers of a request may have on any listener (limits.header_size); make that larger'
  return [{ path: [...path, 'access_tokens', 'max_token_size'], message, warning: true }]
}
