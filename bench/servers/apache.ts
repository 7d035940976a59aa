import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listen } from '../../test/harness/listen.ts'
import { createTlsServer } from '../../test/harness/mutual-tls.ts'
import { freePort } from '../../test/harness/redis.ts'
import { findProgram, type Running, startProgram } from '../processes.ts'
import { type Surroundings, scopePattern } from '../surroundings.ts'
import { writeVerificationKey } from './verification-key.ts'

const authority = fileURLToPath(new URL('../../test/harness/certificates/ca.pem', import.meta.url))
const modules = process.env.APACHE_MODULES ?? '/usr/lib/apache2/modules'

/** What mod_auth_openidc verifies with. */
type KeySource = (
  around: Surroundings,
  name: string,
) => Promise<{ readonly directives: string; stop?(): Promise<void> }>

/** Apache with mod_auth_openidc as a resource server. It gives back `undefined` if one of them is not installed. */
export function apacheWith(prepareKeys: KeySource) {
  return async (around: Surroundings, name: string): Promise<Running | undefined> => {
    const program = findProgram('APACHE_BIN', ['apache2', 'httpd'])
    if (program === undefined || !existsSync(join(modules, 'mod_auth_openidc.so'))) return undefined
    const { folder, cores } = around
    const keys = await prepareKeys(around, name)
    const port = await freePort()
    const file = join(folder, `${name}.conf`)
    writeFileSync(file, configurationOf(around, { port, name, keys: keys.directives }))
    const command = [program, '-d', folder, '-f', file, '-DFOREGROUND']
    const apache = await startProgram({ command, logFile: join(folder, `${name}.log`), port }, cores)
    return { ...apache, stop: async () => void (await Promise.all([apache.stop(), keys.stop?.()])) }
  }
}

/** The key set by its address. It has to be over TLS, so this publishes the authorization server's a second time. */
export const keySet: KeySource = async ({ jwksUri }) => {
  const server = createTlsServer(async (_request, response) => {
    const answer = await fetch(jwksUri)
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
  }, false)
  const { port, stop } = await listen(server)
  return { directives: `OIDCOAuthVerifyJwksUri https://127.0.0.1:${port}/jwks\nOIDCCABundlePath ${authority}`, stop }
}

/** The one key, in a file. */
export const keyFile: KeySource = async ({ jwksUri, folder }, name) => {
  const file = join(folder, `${name}.pem`)
  const kid = await writeVerificationKey(jwksUri, file)
  return { directives: `OIDCOAuthVerifyCertFiles ${kid}#${file}` }
}

/** One process with a thread for each connection and some more; they are never replaced. */
function configurationOf(
  { upstream, issuer, audience, folder }: Surroundings,
  { port, name, keys }: { readonly port: number; readonly name: string; readonly keys: string },
): string {
  const needed = ['mpm_event', 'authn_core', 'authz_core', 'proxy', 'proxy_http', 'auth_openidc']
  return `
${needed.map((module) => `LoadModule ${module}_module ${modules}/mod_${module}.so`).join('\n')}
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
User "#65534"
Group "#65534"
PidFile ${folder}/${name}.pid
DefaultRuntimeDir ${folder}
ErrorLog ${folder}/${name}.log
ServerLimit 1
StartServers 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
MaxKeepAliveRequests 0
${keys}
OIDCOAuthRemoteUserClaim client_id
<Location "/">
  AuthType oauth20
  OIDCPassClaimsAs none
  <RequireAll>
    Require claim "iss:${issuer}"
    Require claim "aud:${audience}"
    Require claim "scope~${scopePattern}"
  </RequireAll>
</Location>
ProxyPass "/" "${upstream}/"
`
}
