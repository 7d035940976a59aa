import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Listening, listen } from '../../test/harness/listen.ts'
import { createTlsServer } from '../../test/harness/mutual-tls.ts'
import { freePort } from '../../test/harness/redis.ts'
import { findProgram, type Running, startProgram } from '../processes.ts'
import { type Surroundings, scopePattern } from '../surroundings.ts'

const testAuthorityFile = fileURLToPath(new URL('../../test/harness/certificates/ca.pem', import.meta.url))
const modules = process.env.APACHE_MODULES ?? '/usr/lib/apache2/modules'

/** Apache with mod_auth_openidc as a resource server. `undefined` if one of them is not installed. */
export async function startApache(around: Surroundings, name: string): Promise<Running | undefined> {
  const program = findProgram('APACHE_BIN', ['apache2', 'httpd'])
  if (program === undefined || !existsSync(join(modules, 'mod_auth_openidc.so'))) return undefined
  const { folder, cores } = around
  const keys = await publishKeys(around.jwksUri)
  const port = await freePort()
  const file = join(folder, `${name}.conf`)
  const logFile = join(folder, `${name}.log`)
  writeFileSync(file, configurationOf(around, { port, logFile, keys: keys.port }))
  const command = [program, '-d', folder, '-f', file, '-DFOREGROUND']
  const apache = await startProgram({ command, logFile, port }, cores)
  return { ...apache, stop: async () => void (await Promise.all([apache.stop(), keys.stop()])) }
}

/** The key set over TLS: mod_auth_openidc takes one from nowhere else. */
function publishKeys(jwksUri: string): Promise<Listening> {
  const server = createTlsServer(async (_request, response) => {
    const answer = await fetch(jwksUri)
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
  }, false)
  return listen(server)
}

/** One process with a thread for each connection and some more; they are never replaced. */
function configurationOf(
  { upstream, issuer, audience, folder }: Surroundings,
  { port, logFile, keys }: { readonly port: number; readonly logFile: string; readonly keys: number },
): string {
  const needed = ['mpm_event', 'authn_core', 'authz_core', 'proxy', 'proxy_http', 'auth_openidc']
  return `
${needed.map((module) => `LoadModule ${module}_module ${modules}/mod_${module}.so`).join('\n')}
ServerName 127.0.0.1
Listen 127.0.0.1:${port}
User "#65534"
Group "#65534"
PidFile ${folder}/apache.pid
DefaultRuntimeDir ${folder}
ErrorLog ${logFile}
ServerLimit 1
StartServers 1
ThreadLimit 128
ThreadsPerChild 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
MaxKeepAliveRequests 0
OIDCOAuthVerifyJwksUri https://127.0.0.1:${keys}/jwks
OIDCCABundlePath ${testAuthorityFile}
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
