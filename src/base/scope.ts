/** One scope value: printable ASCII but for space, `"` and `\`. @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3 */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

export function isScopeToken(value: string): boolean {
  return scopeToken.test(value)
}

/** The scope values of a space-separated list, without repetition, in their order. */
export function parseScope(text: string): string[] {
  return [...new Set(text.split(' ').filter((value) => value !== ''))]
}
