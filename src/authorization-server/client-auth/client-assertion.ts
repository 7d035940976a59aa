import type { JWTPayload } from 'jose'
import { decodeJwt } from 'jose/jwt/decode'
import { deriveFrom } from '../../base/derived.ts'
import { KeyFault, keyFaultOf } from '../../base/private-key.ts'
import { oneOf, secret } from '../../base/scalars.ts'
import type { Secret } from '../../base/secret.ts'
import { addAssertion } from './assertion.ts'
import { defineClientAuthMethod } from './define.ts'

interface Workload {
  readonly assertion: string
  /** Who it is and for whom. A renewed assertion of the same workload is the same credential. */
  readonly identity: string
  /** Milliseconds since the epoch, where it says so. */
  readonly expiresAt: number | undefined
}

/** @throws {KeyFault} if the text is no JWT */
function readWorkload(text: string): Workload {
  const assertion = text.trim()
  const { iss, sub, aud, exp } = readClaims(assertion)
  return { assertion, identity: JSON.stringify([iss, sub, aud]), expiresAt: dateOf(exp) }
}

/** The decoder does not look at it: it may be text, or beyond all dates. */
function dateOf(exp: unknown): number | undefined {
  const date = new Date(typeof exp === 'number' ? exp * 1000 : Number.NaN).getTime()
  return Number.isNaN(date) ? undefined : date
}

function readClaims(assertion: string): JWTPayload {
  try {
    if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(assertion)) return decodeJwt(assertion)
  } catch {
    // Told below: the decoder's own message is of no use to an operator.
  }
  throw new KeyFault('client_assertion', 'is no JWT: three parts of base64url with dots between')
}

const createWorkload = (clientAssertion: Secret) =>
  deriveFrom({ assertion: clientAssertion }, ({ assertion }) => readWorkload(assertion))

/**
 * A JWT that the workload has from elsewhere, read again when it changes: a projected service account token of Kubernetes, a
 * SPIFFE JWT-SVID, an identity token of a cloud.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-2.2
 */
export const clientAssertion = defineClientAuthMethod({
  name: 'client_assertion',
  summary: "the workload's own JWT from a file, read again when it changes (Kubernetes, SPIFFE, a cloud)",
  options: {
    client_assertion: secret().describe('the JWT, as in ${file:/var/run/secrets/tokens/scopegate}'),
    client_assertion_type: oneOf('jwt-bearer', 'jwt-spiffe')
      .prefault('jwt-bearer')
      .describe('`jwt-spiffe` for a SPIFFE JWT-SVID'),
  },
  findFault: ({ client_assertion: text }) => keyFaultOf(() => createWorkload(text)),
  create({ client_assertion: text, client_assertion_type: type }) {
    const workload = createWorkload(text)
    return {
      identify: () => workload.recent().identity,
      fault: workload.fault,
      expiries() {
        const { expiresAt: at } = workload.recent()
        return at === undefined ? [] : [{ path: ['client_assertion'], at }]
      },
      authenticate: (_server, client, body) => addAssertion(body, client, type, workload.read().assertion),
    }
  },
})
