import { Substituted } from '../base/substituted.ts'

export type Tree = Record<string, unknown>

/** The map that a value is, or an empty one: what it should have been is told elsewhere. */
export function tree(value: unknown): Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : {}
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** The text that a value is, out of a variable too, but not out of a file. */
export function written(value: unknown): string | undefined {
  if (value instanceof Substituted && !value.fromFile) return value.read()
  return typeof value === 'string' ? value : undefined
}

/** As it stands in the file: what a variable holds may be a secret in the wrong place. */
export function shown(value: unknown): string {
  return value instanceof Substituted ? value.written : String(value)
}
