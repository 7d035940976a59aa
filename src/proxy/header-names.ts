/**
 * The spelling of a header name that every server could take it for: lower-case, with `-` for whatever is no letter or
 * digit. CGI, WSGI and their kin read `X_Client_Id` and `X-Client-Id` as one header.
 */
export function foldHeaderName(name: string): string {
  const lower = name.toLowerCase()
  return plainName.test(lower) ? lower : lower.replace(notAlphanumeric, '-')
}

const plainName = /^[a-z0-9-]*$/
const notAlphanumeric = /[^a-z0-9]/g

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

/**
 * What concerns one connection and never passes to the next, in either direction; `Transfer-Encoding` and
 * `Content-Length` are said anew on each side, from the framing that was read.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
export const hopByHopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** `Proxy` alone is read by CGI programs as the variable HTTP_PROXY ("httpoxy"). */
export function isProxyHeader(folded: string): boolean {
  return folded === 'proxy' || folded.startsWith('proxy-')
}
