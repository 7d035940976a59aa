import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const src = join(import.meta.dirname, '../src')
const files = globSync('**/*.ts', { cwd: src })

/** A folder under src, or a file right in it. */
function room(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : file
}

interface Import {
  readonly file: string
  readonly from: string
}

const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(src, file), 'utf8')
  return [
    ...text.matchAll(/^(?:import|export)(?: type)?(?: [\w{*][^';]*)? from '([^']+)'|\bimport\('([^']+)'\)/gm),
  ].map((match) => ({
    file,
    from: match[1] ?? match[2] ?? '',
  }))
})

/** `@scope/name` or `name`, whatever part of it is imported. */
function libraryOf(from: string): string {
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/')
}

const inside = imports
  .filter(({ from }) => from.startsWith('.'))
  .map(({ file, from }) => ({ file, target: relative(src, join(src, dirname(file), from)) }))

/** Who may import whom: doors, then server, gateway, rooms, base. The two wings never see each other. */
const allowed: Record<string, readonly string[]> = {
  'index.ts': ['base', 'config', 'door.ts', 'gateway.ts', 'client-tokens.ts'],
  cli: [
    'server.ts',
    'workers',
    'client-tokens.ts',
    'client-registrations.ts',
    'config',
    'authorization-server',
    'base',
  ],
  workers: ['server.ts', 'admin', 'config', 'egress', 'base'],
  'server.ts': ['gateway.ts', 'admin', 'config', 'base'],
  'door.ts': ['attach.ts', 'exchange.ts', 'listener.ts', 'request-log.ts', 'wiring.ts', 'base', 'proxy', 'routes'],
  'exchange.ts': ['listener.ts', 'request-log.ts', 'wiring.ts', 'base', 'proxy'],
  'request-reading.ts': ['exchange.ts', 'listener.ts', 'base', 'proxy', 'routes'],
  'request-route.ts': ['exchange.ts', 'listener.ts', 'request-reading.ts', 'route.ts', 'base', 'routes'],
  'listener.ts': ['pass-through.ts', 'route.ts', 'admin', 'config', 'ingress', 'routes', 'base'],
  'pass-through.ts': ['route.ts', 'proxy', 'routes'],
  'route.ts': ['config', 'egress', 'ingress', 'proxy', 'routes', 'base'],
  'request-admission.ts': ['exchange.ts', 'request-log.ts', 'request-reading.ts', 'route.ts', 'ingress'],
  'upstream-request.ts': [
    'exchange.ts',
    'request-reading.ts',
    'route.ts',
    'wiring.ts',
    'base',
    'egress',
    'ingress',
    'proxy',
  ],
  'gateway.ts': [
    'attach.ts',
    'door.ts',
    'exchange.ts',
    'request-admission.ts',
    'request-reading.ts',
    'request-route.ts',
    'route.ts',
    'upstream-request.ts',
    'error-response.ts',
    'request-log.ts',
    'wiring.ts',
    'admin',
    'base',
    'config',
    'egress',
    'ingress',
    'proxy',
    'routes',
  ],
  'client-registrations.ts': ['wiring.ts', 'config', 'egress', 'base'],
  'client-tokens.ts': ['wiring.ts', 'config', 'egress', 'base'],
  'wiring.ts': [
    'listener.ts',
    'pass-through.ts',
    'route.ts',
    'admin',
    'config',
    'routes',
    'ingress',
    'egress',
    'authorization-server',
    'proxy',
    'base',
  ],
  'attach.ts': ['error-response.ts', 'config', 'base'],
  'request-log.ts': ['base'],
  'error-response.ts': ['base'],
  config: ['routes', 'ingress', 'egress', 'authorization-server', 'proxy', 'base'],
  ingress: ['authorization-server', 'base'],
  egress: ['authorization-server', 'base'],
  'authorization-server': ['base'],
  routes: ['base'],
  proxy: ['base'],
  admin: ['base'],
  base: [],
}

describe('the house', () => {
  it('has only rooms that the map of imports knows', () => {
    expect([...new Set(files.map(room))].filter((name) => !(name in allowed))).toEqual([])
  })

  it('imports only downwards', () => {
    const against = inside.filter(
      ({ file, target }) => room(file) !== room(target) && !allowed[room(file)]?.includes(room(target)),
    )
    expect(against).toEqual([])
  })

  it('keeps each library behind one place', () => {
    const homes: Record<string, RegExp> = {
      express: /^admin\//,
      'prom-client': /^admin\/(((process|summed)-)?metrics|histogram)\.ts$/,
      'http-proxy-middleware': /^proxy\/middleware-engine\.ts$/,
      undici: /^proxy\/(undici-engine|upstream-clients)\.ts$/,
      'proxy-addr': /^proxy\/forwarded\.ts$/,
      oauth4webapi: /^authorization-server\//,
      jose: /^authorization-server\//,
      yaml: /^config\/yaml-(document|limits)\.ts$/,
      leven: /^config\/suggest\.ts$/,
      commander: /^cli\/program\.ts$/,
      pino: /^base\/log\.ts$/,
      ioredis: /^egress\/token-cache\/redis-client\.ts$/,
      'lru-cache': /^(base\/bounded-map|egress\/held-tokens|ingress\/remembered-tokens)\.ts$/,
      zod: /./,
    }
    const libraries = imports
      .filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
      .map(({ file, from }) => ({ file, library: libraryOf(from) }))
    expect(libraries.filter(({ file, library }) => !homes[library]?.test(file))).toEqual([])
    expect(Object.keys(homes).filter((name) => !libraries.some(({ library }) => library === name))).toEqual([])
  })

  it('calls no file by what kind of code is in it', () => {
    const kinds = /(^|\/)(utils?|helpers?|services?|types?|common|misc)(\.ts|\/)/
    expect(files.filter((file) => kinds.test(file))).toEqual([])
  })

  it('exports by name alone', () => {
    expect(files.filter((file) => /^export default/m.test(readFileSync(join(src, file), 'utf8')))).toEqual([])
  })
})

it('the library door exports what it promises', async () => {
  const library = await import('../src/index.ts')
  expect(Object.keys(library).sort()).toEqual([
    'ConfigError',
    'GatewayError',
    'Secret',
    'createClientTokens',
    'createGateway',
    'createLog',
    'errorCodes',
    'formatFault',
    'loadConfig',
    'parseConfig',
    'systemClock',
  ])
})
