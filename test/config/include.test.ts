import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ConfigError, formatFault } from '../../src/config/config-error.ts'
import { type Config, loadConfig } from '../../src/config/load.ts'
import { runProgram } from '../harness/process.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** The files, the first of which is the configuration; gives back where that is. */
function write(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-include-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return join(folder, Object.keys(files)[0] ?? '')
}

const load = (files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}) =>
  loadConfig(write(files), env)

/** What it is refused with, line by line, from the folder of the configuration. */
function faultsOf(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): string[] {
  const file = write(files)
  try {
    loadConfig(file, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${dirname(file)}/`, '').split('\n')
    throw error
  }
  return []
}

const warningsOf = (config: Config) =>
  config.warnings.map((warning) => formatFault(config.file, warning).replaceAll(`${dirname(config.file)}/`, ''))

const route = (path: string, more = '') => `{ path: ${path}, public: true, upstream: "http://a:1"${more} }`
const file = (...routes: readonly string[]) => `routes:\n${routes.map((each) => `  - ${each}\n`).join('')}`

describe('routes that teams own', () => {
  it('stand behind those of the configuration, in the order of the patterns and by name', () => {
    const config = load({
      'main.yaml': `include: [teams/*.yaml, extra.yaml]\n${file(route('/own'))}`,
      'extra.yaml': file(route('/extra')),
      'teams/b.yaml': file(route('/b1'), route('/b2')),
      'teams/a.yaml': file(route('/a')),
      'teams/.hidden.yaml': 'no: [yaml',
      'teams/note.txt': 'none of them',
    })
    expect(config.routes.map(({ path }) => path)).toEqual(['/own', '/a', '/b1', '/b2', '/extra'])
    expect(config.included).toEqual(
      ['teams/a.yaml', 'teams/b.yaml', 'extra.yaml'].map((name) => join(dirname(config.file), name)),
    )
    expect(config.warnings).toEqual([])
  })

  it('may be all that there are, and the pattern may stand alone and in a variable', () => {
    const files = { 'main.yaml': 'include: "${env:DIR}/*.yaml"', 'teams/a.yaml': file(route('/a')) }
    expect(load(files, { DIR: 'teams' }).routes).toHaveLength(1)
  })

  it('are relative to the file that includes them, wherever the process runs, or absolute', () => {
    const other = write({ 'r/a.yaml': file(route('/absolute')) })
    const config = load({ 'deep/main.yaml': `include: [../r/a.yaml, "${other}"]`, 'r/a.yaml': file(route('/a')) })
    expect(config.routes.map(({ path }) => path)).toEqual(['/a', '/absolute'])
  })

  it('use the clients and listeners of the configuration, variables, and files beside themselves', () => {
    const config = load(
      {
        'main.yaml': `
include: teams/*.yaml
listeners: { one: { address: "127.0.0.1:1" }, two: { address: "127.0.0.1:2" } }
authorization_servers: { sso: { issuer: https://sso.example } }
clients: { billing: { authorization_server: sso, client_id: billing, client_secret: "\${env:SECRET}" } }
`,
        'teams/a.yaml': `
x-both: &both { listener: two, callers: { networks: [loopback] } }
routes:
  - { <<: *both, path: /a, token: { client: billing }, upstream: "https://\${env:HOST}" }
`,
      },
      { SECRET: 'a-secret-of-theirs', HOST: 'api.example' },
    )
    expect(config.routes[0]).toMatchObject({ listener: 'two', upstream: { url: 'https://api.example' } })
    expect(config.warnings).toEqual([])
  })

  it('are taken once, by however many names, links and patterns they are reached', () => {
    const path = write({
      'main.yaml': 'include: ["r/*.yaml", "r/a.yaml", "./r/../r/*"]',
      'r/a.yaml': file(route('/a')),
    })
    symlinkSync('a.yaml', join(dirname(path), 'r/b.yaml'))
    expect(loadConfig(path, {}).routes).toHaveLength(1)
  })

  it('change the hash of the configuration, and so does the name of their file', () => {
    const hash = (name: string, path: string) =>
      load({ 'main.yaml': 'include: "*/*.yaml"', [name]: file(route(path)) }).hash
    expect(new Set([hash('r/a.yaml', '/a'), hash('r/a.yaml', '/b'), hash('r/b.yaml', '/a')]).size).toBe(3)
  })
})

describe('what is wrong is told with its own file, line and column', () => {
  it('all at once, whichever file it is in', () => {
    expect(
      faultsOf({
        'main.yaml': `include: teams/*.yaml\n${file('{ path: /own, upstream: "http://a:1" }')}`,
        'teams/a.yaml': file(route('/a'), '{ path: b, public: true, upstreem: "http://a:1" }'),
        'teams/b.yaml': 'routes:\n  - path: /c\n    public: ture\n    upstream: "${env:NOT_SET}"\n',
        'teams/c.yaml': 'routes: [',
      }),
    ).toEqual([
      'main.yaml:3:5: routes[0]: does not say who may come in: give it require (a token), callers (a network or certificate), or public: true',
      'teams/a.yaml:3:13: routes[1].path: is "b", and must start with /; a host stands in its own key, host',
      'teams/a.yaml:3:30: routes[1].upstreem: is not a known key; did you mean "upstream"?',
      'teams/b.yaml:3:13: routes[0].public: must be true or false',
      expect.stringMatching(/^teams\/b\.yaml:4:15: routes\[0\]\.upstream: needs the environment variable NOT_SET/),
      expect.stringMatching(/^teams\/c\.yaml:1:\d+: not YAML/),
    ])
  })

  it('two routes for the same requests, with both places', () => {
    expect(
      faultsOf({
        'main.yaml': `include: teams/*.yaml\n${file(route('/x'), route('/a/**'))}`,
        'teams/a.yaml': file(route('/y'), route('/a/**')),
        'teams/b.yaml': file(route('/y')),
      }),
    ).toEqual([
      'teams/a.yaml:3:13: routes[1].path: covers the same requests as routes[1] of main.yaml:4:5; give each its own methods, or remove one',
      'teams/b.yaml:2:13: routes[0].path: covers the same requests as routes[0] of teams/a.yaml:2:5; give each its own methods, or remove one',
    ])
  })

  it('two routes of one name, with both places', () => {
    expect(
      faultsOf({
        'main.yaml': `include: teams/*.yaml\n${file(route('/x', ', name: same'))}`,
        'teams/a.yaml': file(route('/y', ', name: same')),
      }),
    ).toEqual(['teams/a.yaml:2:61: routes[0].name: is the name of routes[0] of main.yaml:3:5 too'])
  })

  it('a client that there is none of', () => {
    const [told] = faultsOf({
      'main.yaml': 'include: a.yaml',
      'a.yaml': file(
        '{ path: /a, callers: { networks: [loopback] }, token: { client: bling }, upstream: "https://a" }',
      ),
    })
    expect(told).toBe('a.yaml:2:69: routes[0].token.client: there is no client "bling"')
  })

  it('and so is a warning', () => {
    const key = 'tls: { certificate: "${env:C}", private_key: in-the-open }'
    const warned = load({
      'main.yaml':
        'include: a.yaml\nauthorization_servers: { one: { issuer: https://one.example, access_tokens: { audience: any } }, two: { issuer: https://two.example, access_tokens: { audience: any } } }',
      'a.yaml': file(route('/x'), '{ path: /a, require: any_token, upstream: "http://a:1" }'),
    })
    expect(warningsOf(warned)).toEqual([
      'a.yaml:3:26: routes[1].require: takes tokens of every trusted server (one, two); name the ones that are meant in issuers',
    ])
    expect(
      faultsOf({
        'main.yaml': 'include: a.yaml',
        'a.yaml': file(`{ path: /a, public: true, upstream: { url: "https://a", ${key} } }`),
      }).join(),
    ).not.toContain('in-the-open')
  })
})

describe('an included file', () => {
  it.each([
    [
      'clients: { a: { client_id: a } }',
      'a.yaml:1:1: clients: cannot stand in an included file, which holds routes alone; it belongs in main.yaml',
    ],
    [
      'include: b.yaml',
      'a.yaml:1:1: include: stands in a file that is included itself; only main.yaml includes others',
    ],
    ['routes: { path: /a }', 'a.yaml:1:9: routes: must be a list of routes: it is what this file is included for'],
    ['- path: /a', 'a.yaml:1:1: routes: must be a list of routes: it is what this file is included for'],
    ['', 'a.yaml:1:1: routes: must be a list of routes: it is what this file is included for'],
  ])('holds routes alone, and not %j', (text, fault) => {
    expect(faultsOf({ 'main.yaml': `include: a.yaml\n${file(route('/own'))}`, 'a.yaml': text })).toEqual([fault])
  })

  it('may have no routes yet', () => {
    const config = load({ 'main.yaml': `include: a.yaml\n${file(route('/own'))}`, 'a.yaml': 'routes: []' })
    expect(config.routes).toHaveLength(1)
  })
})

describe('include itself', () => {
  const own = file(route('/own'))

  it.each([
    ['missing.yaml', 'main.yaml:1:10: include: takes in missing.yaml, which does not exist'],
    ['[r/a.yaml, r]', 'main.yaml:1:21: include[1]: takes in r, which is a folder'],
    ['r*', 'main.yaml:1:10: include: takes in r, which is a folder'],
    ['"*.yaml"', 'main.yaml:1:10: include: takes in this very file; keep the others in a folder of their own'],
    ['[]', 'main.yaml:1:10: include: is an empty list: name at least one, or remove the key'],
    ['[7]', 'main.yaml:1:11: include[0]: must be text, and is a number; write "7" in quotes'],
  ])('%s is refused', (include, fault) => {
    expect(faultsOf({ 'main.yaml': `include: ${include}\n${own}`, 'r/a.yaml': file(route('/a')) })).toEqual([fault])
  })

  it('never shows what a variable holds, which may be a secret', () => {
    const [told] = faultsOf({ 'main.yaml': `include: "\${env:HUNTER}"\n${own}` }, { HUNTER: 'hunter2-in-a-variable' })
    expect(told).toBe('main.yaml:1:10: include: takes in ${env:HUNTER}, which does not exist')
  })

  it('is refused where a pattern matches nothing, so that no wider route takes over those requests', () => {
    const told = 'main.yaml:1:10: include: teams/*.yaml matches no file'
    expect(faultsOf({ 'main.yaml': `include: teams/*.yaml\n${own}` })).toEqual([told])
    expect(faultsOf({ 'main.yaml': 'include: teams/*.yaml' })).toContain(told)
    expect(
      faultsOf({ 'main.yaml': `include: [r/*.yaml, "teams/*.yaml"]\n${own}`, 'r/a.yaml': file(route('/a')) }),
    ).toEqual(['main.yaml:1:21: include[1]: teams/*.yaml matches no file'])
  })

  it('is told apart in what check prints', async () => {
    const path = write({
      'main.yaml': 'include: r/*.yaml',
      'r/a.yaml': file(route('/a')),
      'r/b.yaml': file(route('/b')),
    })
    const good = await runProgram(['check', '--config', path])
    expect(good.stdout).toContain('2 routes, 1 listener, 0 authorization servers, 0 clients, 2 included files')
    writeFileSync(join(dirname(path), 'r/b.yaml'), file(route('/a')))
    const bad = await runProgram(['check', '--config', path])
    expect([bad.exitCode, bad.stderr]).toEqual([
      1,
      expect.stringMatching(/\/r\/b\.yaml:2:13: routes\[0\]\.path: covers .*\/r\/a\.yaml:2:5;/),
    ])
  })
})
