import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Cores, type Running, startProgram } from './processes.ts'

/** What a contender is, and what it is for. */
export interface Contender {
  readonly name: string
  readonly does: string
  /** The caller's token must be good, and have the scope. */
  readonly validates?: boolean
  /** The upstream gets a token of the contender's own. */
  readonly attaches?: boolean
  /** How the route of scopegate says it; without one, the contender is a proxy of `proxies.ts`, of the same name. */
  readonly route?: string
}

const scope = 'customer.read'
const validated = `require: { scopes: [${scope}] }`
const attached = 'token: { client: bench }'

/** R first: everything else is compared with it. */
export const contenders: readonly Contender[] = [
  { name: 'bare', does: 'R: node:http, a keep-alive agent, pipe' },
  { name: 'express', does: 'express + http-proxy-middleware' },
  { name: 'express-jwt', does: 'the same + express-oauth2-jwt-bearer', validates: true },
  { name: 'plain', does: 'scopegate, public route', route: 'public: true' },
  { name: 'validated', does: 'scopegate, remembered token + scope', validates: true, route: validated },
  {
    name: 'attached',
    does: 'scopegate, cached token attached',
    attaches: true,
    route: `callers: { networks: [loopback] }, ${attached}`,
  },
  { name: 'both', does: 'scopegate, both', validates: true, attaches: true, route: `${validated}, ${attached}` },
]

/** Where the contenders stand. */
export interface Surroundings {
  readonly upstream: string
  readonly issuer: string
  readonly audience: string
  readonly client: { readonly client_id: string; readonly client_secret: string }
  /** For what they write. */
  readonly folder: string
  /** Where profiles of scopegate go, if they are wanted. */
  readonly profiles?: string | undefined
  readonly cores: Cores | undefined
}

export function startContender({ name, route }: Contender, around: Surroundings): Promise<Running> {
  const { upstream, issuer, audience, client, folder, profiles, cores } = around
  const logFile = join(folder, `${name}.log`)
  if (route === undefined) {
    const env = { UPSTREAM: upstream, ISSUER: issuer, AUDIENCE: audience, SCOPE: scope }
    return startProgram({ args: [pathOf('proxies.ts'), name], env, logFile }, cores)
  }
  const file = join(folder, `${name}.yaml`)
  writeFileSync(
    file,
    `
listeners: { main: { address: "127.0.0.1:0" } }
authorization_servers: { sso: { issuer: "${issuer}", access_tokens: { audience: "${audience}" } } }
clients: { bench: { authorization_server: sso, client_id: "${client.client_id}", client_secret: "\${env:CLIENT_SECRET}" } }
routes: [{ path: /customers/**, ${route}, upstream: "${upstream}" }]
`,
  )
  const profiling = profiles ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name}.cpuprofile`] : []
  const args = [...profiling, pathOf(process.env.SRC ? '../src/cli/main.ts' : '../dist/cli/main.js'), 'serve', '--config', file]
  return startProgram({ args, env: { CLIENT_SECRET: client.client_secret }, logFile }, cores)
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}
