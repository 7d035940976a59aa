import { METHODS } from 'node:http'
import { GatewayError } from '../base/errors.ts'
import { foldHeaderName, methodOverrideHeaders } from '../base/header-lists.ts'
import { remember } from '../base/remember.ts'
import type { RequestHead } from './framing.ts'
import { headerValues, listMembers } from './header-names.ts'

const single = ['host', 'authorization'] as const

/**
 * Refuses a second Host or Authorization: whoever reads the other one of the two sees another host or another caller.
 * @throws GatewayError `duplicate_header`
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export function requireSingleHeaders(rawHeaders: readonly string[]): void {
  for (const name of single) {
    if (headerValues(rawHeaders, name).length > 1)
      throw new GatewayError('duplicate_header', { reason: `two ${name} headers`, closeConnection: true })
  }
}

/**
 * Refuses a request whose `Via` names this gateway: it would go round for ever.
 * @throws GatewayError `loop_detected`
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.3
 */
export function requireNoLoop(rawHeaders: readonly string[], viaName: string): void {
  const values = headerValues(rawHeaders, 'via')
  if (values.length === 0) return
  const name = viaName.toLowerCase()
  const passed = listMembers(values).some((hop) => hop.toLowerCase().split(/[ \t]+/)[1] === name)
  if (passed) throw new GatewayError('loop_detected', { reason: 'Via names this gateway' })
}

/**
 * True if the caller waits for `100 Continue` before it sends the body.
 * @throws GatewayError `expectation_failed` for any other expectation
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
 */
export function readExpectContinue(request: RequestHead): boolean {
  if (request.httpVersion === '1.0') return false
  const expectations = headerValues(request.rawHeaders, 'expect')
  if (expectations.some((each) => each.toLowerCase() !== '100-continue'))
    throw new GatewayError('expectation_failed', { reason: 'Expect is not 100-continue', closeConnection: true })
  return expectations.length > 0
}

/** The methods that override headers name, in capitals: an upstream that believes them serves another method. */
export function readMethodOverrides(rawHeaders: readonly string[]): readonly string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (isMethodOverride(rawHeaders[index] ?? '')) values.push(rawHeaders[index + 1] ?? '')
  }
  return values.length === 0 ? values : [...new Set(listMembers(values).map((method) => method.toUpperCase()))]
}

const isMethodOverride = remember((name) => methodOverrideHeaders.has(foldHeaderName(name)))

/**
 * The method that an OPTIONS request asks about, if it is a preflight as browsers send it for a page of another origin.
 * @see https://fetch.spec.whatwg.org/#cors-preflight-request
 */
export function readPreflight(rawHeaders: readonly string[]): string | undefined {
  const [method, ...others] = headerValues(rawHeaders, 'access-control-request-method')
  return others.length === 0 && headerValues(rawHeaders, 'origin').length === 1 ? method : undefined
}

const forwardable: ReadonlySet<string> = new Set(METHODS.filter((each) => each !== 'TRACE' && each !== 'CONNECT'))

/**
 * Refuses what is never passed on: CONNECT asks for a tunnel, and the answer to TRACE holds the request's headers, the
 * gateway's own token among them ("cross-site tracing"). Node's parser also lets the methods of RTSP through, in RTSP's
 * own request line.
 * @throws GatewayError `method_not_implemented`
 */
export function requireForwardableMethod(method: string): void {
  if (!forwardable.has(method)) throw new GatewayError('method_not_implemented', { reason: method })
}
