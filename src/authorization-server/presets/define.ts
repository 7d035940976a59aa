import type { clientAuthMethods } from '../client-auth/index.ts'

type MethodName = (typeof clientAuthMethods)[number]['name']

/** A value as the configuration would have it. */
type Value = string | readonly string[]

/** One thing in which a server differs from what scopegate takes for granted, as the default that copes with it. */
export interface Peculiarity {
  /** Whose default it is: the server's, its `access_tokens`', or that of its clients with these authentication methods. */
  readonly of: 'server' | 'access_tokens' | readonly MethodName[]
  readonly key: string
  /** What it is, or what follows from the issuer as it is written; `undefined` where nothing follows. */
  readonly value: Value | ((issuer: string) => Value | undefined)
  readonly because: string
  /** The documentation or source code of the server that says so. */
  readonly source: string
}

/** What no default can know, and whoever writes the configuration should. */
export interface PresetNote {
  readonly text: string
  readonly source: string
}

/**
 * What is peculiar to a product. It makes no server trusted and says nothing of audiences: that a token is meant for us is
 * never a product's default.
 */
export interface Preset {
  readonly name: string
  /** What its maker calls it. */
  readonly server: string
  readonly peculiarities: readonly Peculiarity[]
  readonly notes: readonly PresetNote[]
}

/** Defines a preset, with its name as a literal. */
export function definePreset<const Name extends string>(
  preset: Preset & { readonly name: Name },
): Preset & { readonly name: Name } {
  return preset
}

/** The methods that sign an assertion. */
export const assertionMethods = ['client_secret_jwt', 'private_key_jwt'] as const
