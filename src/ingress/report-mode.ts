import type { Clock } from '../base/clock.ts'
import { GatewayError, isAdmissionCode } from '../base/errors.ts'
import type { OptionFault } from '../base/fault-rule.ts'
import { moment } from '../base/moment.ts'
import { oneOf } from '../base/scalars.ts'
import type { RequireOptions } from './requirement.ts'

/** A route's own keys for a time of trial: everybody is let in, and who would have been refused is recorded. */
export const reportModeOptions = {
  mode: oneOf('enforce', 'report')
    .prefault('enforce')
    .describe('`report`: lets everybody in `until` a date, and logs who would have been refused and why'),
  until: moment()
    .optional()
    .describe(
      'with `mode: report`: the date (its beginning in UTC) or time from which the route enforces; a year ahead at most',
    ),
}

export interface ReportModeOptions {
  readonly mode: 'enforce' | 'report'
  readonly until?: number | undefined
}

interface Given extends ReportModeOptions {
  readonly public?: unknown
  readonly token?: unknown
}

export function findReportModeFault({ mode, until, token, public: open }: Given): OptionFault | undefined {
  if (mode !== 'report') {
    const message = 'stands on a route without mode: report, which enforces always; remove it, or add the mode'
    return until === undefined ? undefined : { path: ['until'], message }
  }
  if (token !== undefined) {
    const message = "is report on a route with token, and would hand the gateway's credentials to anybody; remove it"
    return { path: ['mode'], message }
  }
  if (open !== undefined)
    return { path: ['mode'], message: 'is report on a public route, where nobody would be refused; remove it' }
  return until === undefined
    ? { path: ['mode'], message: 'is report, and has no until beside it: the date from which the route enforces' }
    : undefined
}

/** Longer than this is no trial: somebody meant another year, or means never to look at it. */
const longestTrial = 366 * 24 * 3_600_000

/** What the date itself is worth a word for, seen from `now`. */
export function judgeUntil(
  until: number,
  now: number,
): { readonly message: string; readonly kind: 'fault' | 'warning' | 'note' } {
  if (until > now + longestTrial)
    return {
      kind: 'fault',
      message: 'is more than a year ahead: until then nobody would be refused; name an earlier date',
    }
  if (until <= now)
    return { kind: 'warning', message: 'is over, and the route enforces already; remove mode and until' }
  return { kind: 'note', message: `nobody is refused here until ${new Date(until).toISOString()}, only reported` }
}

/** The trial of a route. */
export interface ReportMode {
  /** When it ends, in milliseconds since the epoch. */
  readonly until: number
  /** The scopes that the route requires, for whoever reads the report. */
  readonly required: {
    readonly scopes?: readonly string[] | undefined
    readonly any_scope?: readonly string[] | undefined
  }
  /** False as soon as the route enforces. */
  isOn(): boolean
}

/** The trial of a route that is to have one. */
export function createReportMode(
  { mode, until = 0, require }: ReportModeOptions & { readonly require?: RequireOptions | undefined },
  clock: Clock,
): ReportMode | undefined {
  if (mode !== 'report') return undefined
  const { scopes, any_scope } = typeof require === 'object' ? require : {}
  return {
    until,
    required: { ...(scopes && { scopes }), ...(any_scope && { any_scope }) },
    isOn: () => clock.now() < until,
  }
}

/** Runs one of the checks that decide whether a caller may come in. */
export type Judge = <Result>(check: () => Result | Promise<Result>) => Promise<Result | undefined>

/** A service that runs already is not to wait for an authorization server that it never needed. */
const patience = 250

/** Whoever fails a check is told of, and let in. Only who may come in is on trial: whatever else fails is refused. */
export function reportTo(tell: (refusal: GatewayError) => void, clock: Clock): Judge {
  return async (check) => {
    const { promise: late, reject } = Promise.withResolvers<never>()
    const cancel = clock.setTimeout(() => reject(undecided()), patience)
    try {
      return await Promise.race([check(), late])
    } catch (error) {
      if (!(error instanceof GatewayError && isAdmissionCode(error.code))) throw error
      tell(error)
      return undefined
    } finally {
      cancel()
    }
  }
}

function undecided(): GatewayError {
  return new GatewayError('keys_unavailable', { reason: `it could not be decided within ${patience} ms` })
}
