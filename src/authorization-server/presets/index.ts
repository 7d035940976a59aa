import { keycloak } from './keycloak.ts'

/** Every preset that there is. A new one is a file of its own, and a line here. */
export const presets = [keycloak] as const

/** The names that `preset` takes. */
export const presetNames = presets.map(({ name }) => name)
