import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Running, startNodeProgram } from './processes.ts'
import { apacheWith, keyFile, keySet } from './servers/apache.ts'
import { startHaproxy } from './servers/haproxy.ts'
import { startNginx } from './servers/nginx.ts'
import { type Surroundings, scope } from './surroundings.ts'

/** What a contender is, and what it is for. */
export interface Contender {
  readonly name: string
  readonly does: string
  /** The caller's token must be good, and have the scope. */
  readonly validates?: boolean
  /** The upstream gets a token of the contender's own. */
  readonly attaches?: boolean
  /** The caller sends no token. */
  readonly callerIsBare?: boolean
  /** `undefined` if it is not installed. */
  readonly start: (around: Surroundings, name: string) => Promise<Running | undefined>
}

const validated = `require: { scopes: [${scope}] }`
const attached = 'token: { client: bench }'
const inside = 'callers: { networks: [loopback] }'

/** R first: everything else is compared with it. */
export const contenders: readonly Contender[] = [
  { name: 'bare', does: 'R: node:http, a keep-alive agent, pipe', start: startProxy },
  { name: 'express', does: 'express + http-proxy-middleware', start: startProxy },
  { name: 'express-jwt', does: 'the same + express-oauth2-jwt-bearer', validates: true, start: startProxy },
  { name: 'nginx', does: 'nginx auth_request + jose', validates: true, start: startNginx },
  { name: 'haproxy', does: 'HAProxy jwt_verify', validates: true, start: startHaproxy },
  { name: 'apache', does: 'Apache mod_auth_openidc', validates: true, start: apacheWith(keySet) },
  { name: 'apache-file', does: 'the same, the key in a file', validates: true, start: apacheWith(keyFile) },
  { name: 'plain', does: 'scopegate, public route', start: scopegateWith('public: true') },
  {
    name: 'validated',
    does: 'scopegate, remembered token + scope',
    validates: true,
    start: scopegateWith(validated),
  },
  {
    name: 'attached',
    does: 'scopegate, cached token attached',
    attaches: true,
    callerIsBare: true,
    start: scopegateWith(`${inside}, ${attached}`),
  },
  {
    name: 'replaced',
    does: "scopegate, cached token instead of the caller's",
    attaches: true,
    start: scopegateWith(`${inside}, ${attached}`),
  },
  {
    name: 'both',
    does: 'scopegate, both',
    validates: true,
    attaches: true,
    start: scopegateWith(`${validated}, ${attached}`),
  },
]

/** The one of `proxies.ts` that is called so. */
function startProxy({ upstream, issuer, audience, folder, cores }: Surroundings, name: string): Promise<Running> {
  const env = { UPSTREAM: upstream, ISSUER: issuer, AUDIENCE: audience, SCOPE: scope }
  return startNodeProgram({ args: [pathOf('proxies.ts'), name], env, logFile: join(folder, `${name}.log`) }, cores)
}

/** scopegate with one route, which says this of who may come in and what goes out. */
function scopegateWith(route: string): Contender['start'] {
  return ({ upstream, issuer, audience, client, folder, profiles, cores }, name) => {
    const file = join(folder, `${name}.yaml`)
    writeFileSync(
      file,
      `
listeners: { main: { address: "127.0.0.1:0" } }
authorization_servers: { sso: { issuer: "${issuer}", access_tokens: { audience: "${audience}" } } }
clients: { bench: { authorization_server: sso, client_id: "${client.client_id}", client_secret: "\${env:CLIENT_SECRET}", scope: ${scope} } }
routes: [{ path: /customers/**, ${route}, upstream: "${upstream}" }]
`,
    )
    const profiling = profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}.cpuprofile`] : []
    const args = [...profiling, pathOf('../dist/cli/main.js'), 'serve', '--config', file]
    const env = { CLIENT_SECRET: client.client_secret }
    return startNodeProgram({ args, env, logFile: join(folder, `${name}.log`) }, cores)
  }
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}
