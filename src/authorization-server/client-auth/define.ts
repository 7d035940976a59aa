import type { ClientAuth } from 'oauth4webapi'
import type { z } from 'zod'

/** One client's credential, ready to be used. */
export interface ClientCredential {
  /**
   * What tells this credential from another one: the secret itself, or the thumbprint of a key. It changes when the
   * credential does. It goes into the HMAC of the cache key, and nowhere else.
   */
  identify(): string
  /** Adds the credential to a token request, last before it is sent. Called anew for each attempt. */
  readonly authenticate: ClientAuth
}

/** A client authentication method: one file, and one line in the registry. Everything else follows from it. */
export interface ClientAuthMethod<Shape extends z.ZodRawShape = z.ZodRawShape> {
  /** As registered with IANA. @see https://www.iana.org/assignments/oauth-parameters/oauth-parameters.xhtml#token-endpoint-auth-method */
  readonly name: string
  /** One sentence for the documentation. */
  readonly summary: string
  /** The keys of a client that are this method's own. */
  readonly options: Shape
  create(options: z.output<z.ZodObject<Shape>>): ClientCredential
}

/** Defines a method whose `create` gets just what its `options` read. */
export function defineClientAuthMethod<const Name extends string, Shape extends z.ZodRawShape>(
  method: ClientAuthMethod<Shape> & { readonly name: Name },
): ClientAuthMethod<Shape> & { readonly name: Name } {
  return method
}
