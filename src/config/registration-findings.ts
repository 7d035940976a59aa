import { type Tree, tree, written } from './raw-values.ts'
import type { Finding } from './references.ts'

/** What clients that register themselves need of the rest of the file: a server that takes them, and a place to be kept. */
export function registrationFindings(root: Tree): Finding[] {
  const registering = Object.entries(tree(root.clients)).filter(([, client]) => tree(client).registration !== undefined)
  const hasRedis = tree(root.token_cache).redis !== undefined
  const hasPlace = hasRedis || root.registrations !== undefined
  return [
    ...registering.flatMap(([name, client]) => [
      ...(hasPlace ? [] : [nowhere(name)]),
      ...serverFindings(name, tree(tree(root.authorization_servers)[written(tree(client).authorization_server) ?? ''])),
    ]),
    ...placeFindings(root, hasRedis, registering.length > 0),
  ]
}

function nowhere(name: string): Finding {
  const message =
    'has no place to be kept in, and each start would register another client; give token_cache its redis, or write registrations: { file, encryption_keys }'
  return { path: ['clients', name, 'registration'], message }
}

/** Where it is discovered, it is looked at when it is used. */
function serverFindings(name: string, { issuer, token_endpoint: token, registration_endpoint: own }: Tree): Finding[] {
  if (issuer !== undefined || own !== undefined || token === undefined) return []
  const message =
    'has neither issuer nor registration_endpoint, so that no client can be registered; give it one of them'
  return [{ path: ['clients', name, 'authorization_server'], message }]
}

function placeFindings({ registrations }: Tree, hasRedis: boolean, isNeeded: boolean): Finding[] {
  if (registrations === undefined) return []
  const path = ['registrations']
  if (hasRedis)
    return [{ path, message: 'stands beside token_cache.redis, where registrations are kept for all: remove it' }]
  return isNeeded ? [] : [{ path, message: 'is used by nothing: no client has registration', warning: true }]
}
