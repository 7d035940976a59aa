import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/harness/redis.ts'
import { findProgram, type Running, startProgram } from '../processes.ts'
import { type Surroundings, scopePattern } from '../surroundings.ts'
import { writeVerificationKey } from './verification-key.ts'

/** HAProxy, which verifies by itself, with the one key that it is given. `undefined` if it is not installed. */
export async function startHaproxy(around: Surroundings, name: string): Promise<Running | undefined> {
  const program = findProgram('HAPROXY_BIN', ['haproxy'])
  if (program === undefined) return undefined
  const { jwksUri, folder, cores } = around
  const key = join(folder, `${name}.pem`)
  await writeVerificationKey(jwksUri, key)
  const port = await freePort()
  const file = join(folder, `${name}.cfg`)
  writeFileSync(file, configurationOf(around, { port, key }))
  return startProgram({ command: [program, '-db', '-f', file], logFile: join(folder, `${name}.log`), port }, cores)
}

/** An `aud` that is an array would be refused: it compares texts. */
function configurationOf(
  { upstream, issuer, audience }: Surroundings,
  { port, key }: { readonly port: number; readonly key: string },
): string {
  const claim = (name: string, type = '') => `http_auth_bearer,jwt_payload_query('$.${name}'${type})`
  return `
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend gateway
  bind 127.0.0.1:${port}
  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request set-var(txn.exp) ${claim('exp', ",'int'")}
  http-request set-var(txn.now) date()
  acl signed http_auth_bearer,jwt_verify(txn.alg,"${key}") 1
  http-request deny deny_status 401 hdr WWW-Authenticate Bearer unless { var(txn.alg) -m str RS256 } signed
  http-request deny deny_status 401 hdr WWW-Authenticate Bearer unless { var(txn.exp),sub(txn.now) -m int gt 0 }
  http-request deny deny_status 401 hdr WWW-Authenticate Bearer unless { ${claim('iss')} -m str "${issuer}" }
  http-request deny deny_status 401 hdr WWW-Authenticate Bearer unless { ${claim('aud')} -m str "${audience}" }
  http-request deny deny_status 403 unless { ${claim('scope')} -m reg '${scopePattern}' }
  default_backend service
backend service
  http-reuse always
  server service ${new URL(upstream).host}
`
}
