import type { clientAuthMethods } from '../client-auth/index.ts'

type MethodName = (typeof clientAuthMethods)[number]['name']

/** A value as the configuration would have it. */
type Value = string | readonly string[]

/** One thing in which a server differs from what scopegate takes for granted, as the default that copes with it. */
export interface Peculiarity {
  /** Whose default it is: that of the `access_tokens` of the server, or of its clients with these authentication methods. */
  readonly of: 'access_tokens' | readonly MethodName[]
  readonly key: string
  /** What it is, or what follows from the issuer as it is written; `undefined` where nothing follows. */
  readonly value: Value | ((issuer: string) => Value | undefined)
  /** What the value is, where it follows from the issuer. */
  readonly shown?: string
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
 * What is peculiar to a product. A preset makes no server trusted and no request unauthenticated: it only says how this server
 * writes what others write differently.
 */
export interface Preset {
  readonly name: string
  /** What its maker calls it. */
  readonly server: string
  readonly peculiarities: readonly Peculiarity[]
  readonly notes: readonly PresetNote[]
}

/** Defines a preset, with its name as a literal. */
export function definePreset<const Name extends string>(preset: Preset & { readonly name: Name }) {
  return preset
}
