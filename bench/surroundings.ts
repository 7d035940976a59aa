import type { Cores } from './processes.ts'

/** What a caller's token must have for the route of every contender that validates. */
export const scope = 'customer.read'

/** Finds it among the scopes of a token: a regular expression for servers that have nothing better. */
export const scopePattern = `(^| )${scope.replaceAll('.', '[.]')}( |$)`

/** Where the contenders stand. */
export interface Surroundings {
  readonly upstream: string
  readonly issuer: string
  readonly jwksUri: string
  readonly audience: string
  readonly client: { readonly client_id: string; readonly client_secret: string }
  /** For what they write. */
  readonly folder: string
  /** Where profiles of scopegate go, if they are wanted. */
  readonly profiles?: string | undefined
  readonly cores: Cores | undefined
}
