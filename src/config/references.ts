import { Substituted } from '../base/substituted.ts'
import { formatPath } from './config-error.ts'
import { exchangeFindings, grantFindings } from './grant-findings.ts'
import { list, shown, type Tree, tree, written } from './raw-values.ts'
import { registrationFindings } from './registration-findings.ts'
import { suggest } from './suggest.ts'
import { trustFindings } from './trust-findings.ts'
import type { Path } from './yaml-document.ts'

/** Something wrong, or worth a warning, at a path. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly warning?: true
  /** Meant, and to be told all the same: nobody takes it for a mistake, however strict. */
  readonly note?: true
}

/**
 * What one part of the file says of another: names that must exist, and what follows from several parts together. It
 * works on the values as they were read, so that it finds its faults beside those of the schema.
 */
export function referenceFindings(
  values: unknown,
  { routes }: { readonly routes?: 'optional' | undefined } = {},
): Finding[] {
  const root = tree(values)
  const servers = tree(root.authorization_servers)
  return [
    ...clientFindings(tree(root.clients), servers),
    ...registrationFindings(root),
    ...trustFindings(root),
    ...list(root.routes).flatMap((route, index) => routeFindings(tree(route), index, root)),
    ...emptinessFindings(root.listeners),
    ...addressFindings(root),
    ...(routes === 'optional' ? [] : unusedFindings(root)),
  ]
}

function emptinessFindings(listeners: unknown): Finding[] {
  const isEmptyMap = listeners !== undefined && listeners === tree(listeners) && Object.keys(listeners).length === 0
  return isEmptyMap ? [{ path: ['listeners'], message: 'names no listener: give it one, or remove the key' }] : []
}

function clientFindings(clients: Tree, servers: Tree): Finding[] {
  return Object.entries(clients).flatMap(([name, client]) => {
    const path = ['clients', name]
    const server = tree(client).authorization_server
    return [
      ...unknownName(server, servers, [...path, 'authorization_server'], 'authorization server'),
      ...nowhereFindings(tree(servers[written(server) ?? '']), [...path, 'authorization_server']),
      ...audienceFindings(tree(client), tree(servers[written(server) ?? '']), path),
      ...certificateFindings(tree(client), tree(servers[written(server) ?? '']), path),
      ...grantFindings(tree(client), tree(servers[written(server) ?? '']), path),
      ...commaFindings(tree(client), path),
      ...blankFindings(tree(client), path),
    ]
  })
}

/** Of its keys alone nobody learns where a server gives tokens. */
function nowhereFindings(server: Tree, path: Path): Finding[] {
  if (server.jwks === undefined || server.issuer !== undefined || server.token_endpoint !== undefined) return []
  return [
    { path, message: 'has neither issuer nor token_endpoint, so that no token can be asked for; give it one of them' },
  ]
}

/** A comma is a letter like any other there, and several values with commas between are one that no server knows. */
function commaFindings({ scope, scopes }: Tree, path: Path): Finding[] {
  const message =
    'has a comma in a value, which is sent as it stands: values are separated by spaces, or a list of scopes'
  const found = Object.entries({ scope, scopes }).filter(([, value]) => [value].flat().some(hasComma))
  return found.map(([key]) => ({ path: [...path, key], message, warning: true }))
}

function hasComma(value: unknown): boolean {
  return written(value)?.includes(',') === true
}

function blankFindings({ client_id: id }: Tree, path: Path): Finding[] {
  const name = written(id) ?? ''
  const message = 'begins or ends with a blank, which is sent as it stands'
  return name === name.trim() ? [] : [{ path: [...path, 'client_id'], message, warning: true }]
}

/** An assertion is meant for the issuer, unless the client says otherwise. */
function audienceFindings(client: Tree, server: Tree, path: Path): Finding[] {
  const signs = ['client_secret_jwt', 'private_key_jwt'].includes(written(client.token_endpoint_auth_method) ?? '')
  const forIssuer = (written(client.assertion_audience) ?? 'issuer') === 'issuer'
  if (!signs || !forIssuer || server.issuer !== undefined || server.token_endpoint === undefined) return []
  const message =
    'is issuer, and the authorization server has none; give it its issuer, or say here token_endpoint or the audience itself'
  return [{ path: [...path, 'assertion_audience'], message }]
}

/** What is discovered is looked at when it is used; what is written can be told now. */
function certificateFindings(client: Tree, server: Tree, path: Path): Finding[] {
  const isOpen = /^http:/i.test(written(server.token_endpoint) ?? '')
  if (client.tls === undefined || !isOpen || server.mtls_endpoint_aliases !== undefined) return []
  const message =
    'would be presented at the token_endpoint of its server, which is plain http, where no certificate can be; use https there, or give the server mtls_endpoint_aliases'
  return [{ path: [...path, 'tls'], message }]
}

function routeFindings(route: Tree, index: number, root: Tree): Finding[] {
  const path: Path = ['routes', index]
  const servers = tree(root.authorization_servers)
  return [
    ...listenerFindings(route, path, root.listeners),
    ...unknownName(tree(route.token).client, tree(root.clients), [...path, 'token', 'client'], 'client'),
    ...commaFindings(tree(route.token), [...path, 'token']),
    ...exchangeFindings(route, [...path, 'token', 'exchange'], root),
    ...(route.require === undefined ? [] : requireFindings(route.require, [...path, 'require'], servers)),
  ]
}

function listenerFindings(route: Tree, path: Path, listeners: unknown): Finding[] {
  const known = listeners === undefined ? { main: {} } : tree(listeners)
  const names = Object.keys(known)
  if (route.listener !== undefined) return unknownName(route.listener, known, [...path, 'listener'], 'listener')
  return names.length > 1
    ? [
        {
          path: [...path, 'listener'],
          message: `is missing: with several listeners each route names its own (${names.join(', ')})`,
        },
      ]
    : []
}

function requireFindings(require: unknown, path: Path, servers: Tree): Finding[] {
  const trusted = Object.keys(servers).filter((name) => tree(servers[name]).access_tokens !== undefined)
  if (trusted.length === 0)
    return [
      { path, message: 'can never be met: no authorization server has an access_tokens block, so no token is trusted' },
    ]
  const issuers = tree(require).issuers
  if (issuers === undefined) {
    const message = `takes tokens of every trusted server (${trusted.join(', ')}); name the ones that are meant in issuers`
    return trusted.length > 1 ? [{ path, message, warning: true }] : []
  }
  return list(issuers).flatMap((name, index) => {
    const unknown = unknownName(name, servers, [...path, 'issuers', index], 'authorization server')
    if (unknown.length > 0 || trusted.includes(written(name) ?? '')) return unknown
    return [
      {
        path: [...path, 'issuers', index],
        message: `names ${shown(name)}, which has no access_tokens block, so that its tokens are not trusted`,
      },
    ]
  })
}

/** Two listeners on one address: the second could not be opened. */
function addressFindings(root: Tree): Finding[] {
  const admin = tree(root.admin).address
  const addresses: [Path, string][] = Object.entries(tree(root.listeners)).map(([name, listener]) => [
    ['listeners', name, 'address'],
    written(tree(listener).address) ?? '127.0.0.1:8080',
  ])
  if (admin !== undefined) addresses.push([['admin', 'address'], written(admin) ?? ''])
  return addresses.flatMap(([path, address], index) => {
    const [taken] = addresses.slice(0, index).find(([, other]) => collide(address, other)) ?? []
    return taken
      ? [{ path, message: `is the address of ${formatPath(taken.slice(0, -1))} too; give each its own port` }]
      : []
  })
}

function collide(one: string, other: string): boolean {
  const [host, port] = splitPort(one)
  const [otherHost, otherPort] = splitPort(other)
  const everywhere = ['0.0.0.0', '[::]']
  return (
    port !== '0' &&
    port === otherPort &&
    (host === otherHost || [host, otherHost].some((each) => everywhere.includes(each)))
  )
}

function splitPort(address: string): [host: string, port: string] {
  const at = address.lastIndexOf(':')
  return [address.slice(0, at), address.slice(at + 1)]
}

/** What nothing refers to is a mistake more often than not. */
function unusedFindings(root: Tree): Finding[] {
  const used = new Set(list(root.routes).map((route) => written(tree(tree(route).token).client)))
  const unused = Object.keys(tree(root.clients)).filter((name) => !used.has(name))
  return [
    ...unused.map((name): Finding => ({ path: ['clients', name], message: 'is used by no route', warning: true })),
    ...unusedServerFindings(root),
  ]
}

function unusedServerFindings(root: Tree): Finding[] {
  const used = new Set(Object.values(tree(root.clients)).map((client) => written(tree(client).authorization_server)))
  const unused = Object.entries(tree(root.authorization_servers)).filter(
    ([name, server]) => !used.has(name) && tree(server).access_tokens === undefined && tree(server).jwks === undefined,
  )
  const message = 'is used by nothing: no client is one of it, and without access_tokens its tokens are not trusted'
  return unused.map(([name]) => ({ path: ['authorization_servers', name], message, warning: true }))
}

function unknownName(value: unknown, known: Tree, path: Path, kind: string): Finding[] {
  const name = written(value)
  if (name === undefined || Object.hasOwn(known, name)) return []
  return [
    {
      path,
      message: `there is no ${kind} ${value instanceof Substituted ? shown(value) : `"${name}"`}${suggest(name, Object.keys(known))}`,
    },
  ]
}
