/** A header name. @see https://www.rfc-editor.org/rfc/rfc9110#section-5.1 */
export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
}

/** A header value as HTTP/1.1 can carry it, bytes above ASCII included. @see https://www.rfc-editor.org/rfc/rfc9110#section-5.5 */
export function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text)
}

/** The headers as `[name, value]`, in their order and spelling, none left out and none merged. */
export function* headerPairs(rawHeaders: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    yield [rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']
}

/** Every value of the header of this lower-case name. */
export function headerValues(rawHeaders: readonly string[], name: string): string[] {
  return [...headerPairs(rawHeaders)].filter(([each]) => each.toLowerCase() === name).map(([, value]) => value)
}

/** The members of a comma-separated header, over all its lines, without the empty ones. */
export function listMembers(values: readonly string[]): string[] {
  return values
    .flatMap((value) => value.split(','))
    .map((member) => member.trim())
    .filter((member) => member !== '')
}

/** The names that `Connection` lists, in lower case. @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
export function connectionOptions(rawHeaders: readonly string[]): ReadonlySet<string> {
  const values = ['connection', 'proxy-connection'].flatMap((name) => headerValues(rawHeaders, name))
  return new Set(listMembers(values).map((name) => name.toLowerCase()))
}
