import type { TLSSocket } from 'node:tls'
import { type Exchange, whileOpen } from './exchange.ts'
import type { AccessToken } from './ingress/access-token.ts'
import { readBearerToken } from './ingress/bearer-token.ts'
import { verifiedCertificate } from './ingress/certificate-callers.ts'
import { type ReportMode, reportTo } from './ingress/report-mode.ts'
import type { Requirement } from './ingress/requirement.ts'
import { noteRefusal, type Report } from './request-log.ts'
import type { Reading } from './request-reading.ts'
import type { Route } from './route.ts'

/** Gives back the caller's token, on routes that require one. */
export function admit(
  exchange: Exchange,
  route: Route,
  reading: Reading,
): Promise<AccessToken | undefined> | AccessToken | undefined {
  if (route.report?.isOn()) return admitOnTrial(exchange, { route, reading, report: route.report })
  requireCaller(exchange, route, reading)
  return route.requirement && requireToken(exchange, route.requirement)
}

/** In report mode everybody comes in, and those who would not have done so have no token. */
async function admitOnTrial(
  exchange: Exchange,
  { route, reading, report }: { readonly route: Route; readonly reading: Reading; readonly report: ReportMode },
): Promise<AccessToken | undefined> {
  const found: Report = { required: report.required }
  exchange.outcome.report = found
  const judge = reportTo(noteRefusal(found), exchange.parts.clock)
  await judge(() => requireCaller(exchange, route, reading))
  const caller = await judge(() => route.requirement && requireToken(exchange, route.requirement))
  found.judged = true
  return found.refusal ? undefined : caller
}

function requireCaller({ request, outcome }: Exchange, { callers, browserRule }: Route, { host }: Reading): void {
  const { socket, headers } = request
  outcome.certificate = callers?.check({
    address: outcome.address,
    get certificate() {
      return verifiedCertificate(socket)
    },
  })
  const encrypted = (socket as Partial<TLSSocket>).encrypted === true
  browserRule?.check({ headers, host, localAddress: socket.localAddress, encrypted })
}

async function requireToken(
  { request, response, target, parts, outcome }: Exchange,
  requirement: Requirement,
): Promise<AccessToken> {
  const bearer = readBearerToken(request.headers.authorization, target)
  const verified = parts.accessTokens.verify(bearer, requirement)
  const token = verified instanceof Promise ? await whileOpen(response, verified) : verified
  outcome.callerId = token.clientId
  outcome.scopes = token.scopes
  requirement.check(token)
  return token
}
