import { clientAuthMethods } from '../authorization-server/client-auth/index.ts'
import type { Peculiarity, Preset } from '../authorization-server/presets/define.ts'
import { presets } from '../authorization-server/presets/index.ts'
import { formatPath } from './config-error.ts'
import { type Tree, tree, written } from './raw-values.ts'

/** The values of a file with the defaults of its presets, and the preset that each of those is from, by its path. */
export interface PresetValues {
  readonly values: unknown
  readonly filled: ReadonlyMap<string, string>
}

/**
 * Fills in what the preset of each authorization server says of it and of its clients. Whatever the file has itself stays, and
 * no block is added that it lacks: only `access_tokens` that somebody wrote make a server trusted.
 */
export function applyPresets(values: unknown): PresetValues {
  const root = tree(values)
  const servers = tree(root.authorization_servers)
  const chosen = new Map(Object.entries(servers).flatMap(([name, server]) => choose(name, tree(server))))
  if (chosen.size === 0) return { values, filled: new Map() }
  const filled = new Map<string, string>()
  const fill = (given: unknown, path: readonly string[], { preset, issuer }: Chosen, fits: Fits): unknown => {
    if (!isMap(given)) return given
    const defaults = preset.peculiarities
      .filter(({ of, key }) => fits(of) && !Object.hasOwn(given, key))
      .map(({ key, value }) => [key, typeof value === 'function' ? value(issuer) : value] as const)
      .filter(([, value]) => value !== undefined)
    for (const [key] of defaults) filled.set(formatPath([...path, key]), preset.name)
    return { ...given, ...Object.fromEntries(defaults) }
  }
  const fillServer = (server: unknown, name: string) => {
    const one = chosen.get(name)
    if (!one || !isMap(server)) return server
    const path = ['authorization_servers', name]
    const { access_tokens: tokens } = server
    const trusted = fill(tokens, [...path, 'access_tokens'], one, (of) => of === 'access_tokens')
    const withTokens = tokens === undefined ? server : { ...server, access_tokens: trusted }
    return fill(withTokens, path, one, (of) => of === 'server')
  }
  const fillClient = (client: unknown, name: string) => {
    const { authorization_server: server, token_endpoint_auth_method: method } = tree(client)
    const one = chosen.get(written(server) ?? '')
    const known: readonly string[] = [written(method) ?? clientAuthMethods[0].name]
    return one
      ? fill(client, ['clients', name], one, (of) => Array.isArray(of) && of.some((each) => known.includes(each)))
      : client
  }
  return {
    values: {
      ...root,
      authorization_servers: mapValues(servers, fillServer),
      ...(isMap(root.clients) && { clients: mapValues(root.clients, fillClient) }),
    },
    filled,
  }
}

type Fits = (of: Peculiarity['of']) => boolean

interface Chosen {
  readonly preset: Preset
  /** As it is written; empty where there is none. */
  readonly issuer: string
}

function choose(name: string, server: Tree): [name: string, chosen: Chosen][] {
  const wanted = written(server.preset)
  const preset = presets.find((each) => each.name === wanted)
  return preset ? [[name, { preset, issuer: written(server.issuer) ?? '' }]] : []
}

function isMap(value: unknown): value is Tree {
  return value !== undefined && value === tree(value)
}

function mapValues(map: Tree, change: (value: unknown, name: string) => unknown): Tree {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value, name)]))
}
