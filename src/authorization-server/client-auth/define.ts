import type { ClientAuth } from 'oauth4webapi'
import type { z } from 'zod'
import type { ClientCertificate } from '../../base/client-certificate.ts'
import type { OptionFault } from '../../base/fault-rule.ts'
import type { Secret } from '../../base/secret.ts'

export interface Expiry {
  /** Where it stands, seen from the client. */
  readonly path: readonly string[]
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** One client's credential, ready to be used. */
export interface ClientCredential {
  /**
   * What tells this credential from another one: the secret itself, or the thumbprint of a key. It changes when the
   * credential does. It goes into the HMAC of the cache key, and nowhere else.
   */
  identify(): string
  /** What a server's answer might quote, and no log may hold. */
  readonly secret?: Secret
  /** What is wrong with its files as they are now, while what they held before is still used. */
  fault?(): string | undefined
  /** What of it is good no more at some date: its certificate, its assertion. */
  expiries?(): readonly Expiry[]
  /** Adds the credential to a token request, last before it is sent. Called anew for each attempt. */
  readonly authenticate: ClientAuth
  /** The certificate that the client presents in TLS. @see https://www.rfc-editor.org/rfc/rfc8705#section-2 */
  readonly tls?: ClientCertificate
}

/** A client authentication method: one file, and one line in the registry. Everything else follows from it. */
export interface ClientAuthMethod<Shape extends z.ZodRawShape = z.ZodRawShape> {
  /** As registered with IANA. @see https://www.iana.org/assignments/oauth-parameters/oauth-parameters.xhtml#token-endpoint-auth-method */
  readonly name: string
  /** One sentence for the documentation. */
  readonly summary: string
  /** The keys of a client that are this method's own. */
  readonly options: Shape
  /** What cannot work although each option is good by itself. Asked by `check`, and before `create`. */
  findFault?(options: z.output<z.ZodObject<Shape>>): OptionFault | undefined
  /** What a client that registers itself says of its credential. @see https://www.rfc-editor.org/rfc/rfc7591#section-2 */
  describe?(options: z.output<z.ZodObject<Shape>>): Readonly<Record<string, unknown>>
  create(options: z.output<z.ZodObject<Shape>>): ClientCredential
}

/** Defines a method whose `create` gets just what its `options` read. */
export function defineClientAuthMethod<const Name extends string, Shape extends z.ZodRawShape>(
  method: ClientAuthMethod<Shape> & { readonly name: Name },
): ClientAuthMethod<Shape> & { readonly name: Name } {
  return method
}
