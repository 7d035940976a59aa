import { clientAuthMethods } from '../authorization-server/client-auth/index.ts'
import type { Peculiarity, Preset } from '../authorization-server/presets/define.ts'
import { presets } from '../authorization-server/presets/index.ts'
import { formatPath } from './config-error.ts'
import { type Tree, tree, written } from './raw-values.ts'

/** The values of a file with the defaults of its presets, and which preset each of those is from, by its path. */
export interface PresetValues {
  readonly values: unknown
  readonly filled: ReadonlyMap<string, string>
}

/**
 * Fills in what the preset of each authorization server says of it and of its clients. Whatever the file has itself stays, and
 * a block that it lacks is never added: only an `access_tokens` that is written makes a server trusted.
 */
export function applyPresets(values: unknown): PresetValues {
  const root = tree(values)
  const servers = tree(root.authorization_servers)
  const chosen = new Map(Object.entries(servers).flatMap(([name, server]) => presetOf(name, tree(server))))
  if (chosen.size === 0) return { values, filled: new Map() }
  const filled = new Map<string, string>()
  const fill = (given: unknown, path: readonly string[], { preset, issuer }: Chosen, fits: Fits): unknown => {
    if (given !== tree(given)) return given
    const defaults = preset.peculiarities
      .filter(({ of, key }) => fits(of) && !Object.hasOwn(given, key))
      .map(({ key, value }) => [key, typeof value === 'function' ? value(issuer) : value] as const)
      .filter(([, value]) => value !== undefined)
    for (const [key] of defaults) filled.set(formatPath([...path, key]), preset.name)
    return { ...given, ...Object.fromEntries(defaults) }
  }
  const trusting = mapValues(servers, (server, name) => {
    const one = chosen.get(name)
    const { access_tokens: given } = tree(server)
    if (!one || given === undefined) return server
    const path = ['authorization_servers', name, 'access_tokens']
    return { ...tree(server), access_tokens: fill(given, path, one, (of) => of === 'access_tokens') }
  })
  const clients = mapValues(tree(root.clients), (client, name) => {
    const one = chosen.get(written(tree(client).authorization_server) ?? '')
    const method = written(tree(client).token_endpoint_auth_method) ?? clientAuthMethods[0].name
    return one ? fill(client, ['clients', name], one, (of) => of.includes(method)) : client
  })
  const withClients = root.clients === tree(root.clients) ? { clients } : {}
  return { values: { ...root, authorization_servers: trusting, ...withClients }, filled }
}

type Fits = (of: Peculiarity['of']) => boolean

interface Chosen {
  readonly preset: Preset
  readonly issuer: string
}

function presetOf(name: string, server: Tree): [name: string, chosen: Chosen][] {
  const wanted = written(server.preset)
  const preset = presets.find((each) => each.name === wanted)
  return preset ? [[name, { preset, issuer: written(server.issuer) ?? '' }]] : []
}

function mapValues(map: Tree, change: (value: unknown, name: string) => unknown): Tree {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value, name)]))
}
