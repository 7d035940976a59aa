/** A header name. @see https://www.rfc-editor.org/rfc/rfc9110#section-5.1 */
export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)
}

/** A header value as HTTP/1.1 can carry it, bytes above ASCII included. @see https://www.rfc-editor.org/rfc/rfc9110#section-5.5 */
export function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text)
}

const none: readonly string[] = []

/** Every value of the header of this lower-case name. */
export function headerValues(rawHeaders: readonly string[], name: string): readonly string[] {
  let values: string[] | undefined
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const each = rawHeaders[index] ?? ''
    if (each.length !== name.length || each.toLowerCase() !== name) continue
    values ??= []
    values.push(rawHeaders[index + 1] ?? '')
  }
  return values ?? none
}

/** The members of a comma-separated header, over all its lines, without the empty ones. */
export function listMembers(values: readonly string[]): readonly string[] {
  if (values.length === 0) return none
  return values
    .flatMap((value) => value.split(','))
    .map((member) => member.trim())
    .filter((member) => member !== '')
}

const nothing: ReadonlySet<string> = new Set()

/** The names that `Connection` lists, in lower case. @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 */
export function connectionOptions(rawHeaders: readonly string[]): ReadonlySet<string> {
  const values = [...headerValues(rawHeaders, 'connection'), ...headerValues(rawHeaders, 'proxy-connection')]
  return values.length === 0 ? nothing : new Set(listMembers(values).map((name) => name.toLowerCase()))
}
