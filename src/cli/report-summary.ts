import { isAdmissionCode } from '../base/errors.ts'

/** How often one and the same thing stood in the way. */
export interface Refusal {
  readonly code: string
  readonly reason: string
  count: number
}

interface Counts {
  requests: number
  /** Of these, the ones that report mode let in and enforcing would have refused. */
  wouldBeRefused: number
  refused: number
  first: string
  last: string
}

/** What one caller did on one route: the client of a valid token, or else of a listed certificate, or else an address. */
export interface CallerSummary extends Counts {
  readonly client: string | undefined
  readonly certificate: string | undefined
  /** True for the entry of all those that were too many to be told apart. */
  readonly isOthers: boolean
  readonly addresses: Set<string>
  readonly refusals: Map<string, Refusal>
  readonly scopesSeen: Set<string>
  readonly scopesMissing: Set<string>
}

export interface RouteSummary extends Counts {
  readonly listener: string
  /** Missing for the requests that no route owns. */
  readonly route: string | undefined
  /** Requests that came while it was in report mode. */
  reported: number
  /** Of these, the ones that ended before it was known whether they would have been let in. */
  undecided: number
  /** When report mode ends, where the log says so. */
  until: string | undefined
  readonly callers: Map<string, CallerSummary>
}

export interface Summary {
  readonly lines: { requests: number; other: number; unreadable: number }
  /** Callers that were too many to be told apart. */
  foldedCallers: boolean
  readonly routes: Map<string, RouteSummary>
}

/** What is told apart at most, so that a log of any size fits into memory. */
export interface SummaryLimits {
  readonly routes: number
  readonly callers: number
  /** Callers of no route. */
  readonly strangers: number
  readonly refusals: number
  readonly scopes: number
  readonly addresses: number
}

const defaultLimits: SummaryLimits = {
  routes: 10_000,
  callers: 10_000,
  strangers: 100,
  refusals: 10,
  scopes: 100,
  addresses: 10,
}

type Members = Readonly<Record<string, unknown>>

/** Sums up the lines of a log, one after the other. */
export function createSummarizer(limits: Partial<SummaryLimits> = {}) {
  const most = { ...defaultLimits, ...limits }
  const summary: Summary = { lines: { requests: 0, other: 0, unreadable: 0 }, foldedCallers: false, routes: new Map() }
  let callers = 0

  function routeOf(line: Members): RouteSummary {
    const [listener, route] = [text(line.listener) ?? '', text(line.route)]
    return found(summary.routes, JSON.stringify([listener, route]), most.routes, (isOthers) => ({
      ...noCounts(),
      listener: isOthers ? '' : listener,
      route: isOthers ? '(others)' : route,
      reported: 0,
      undecided: 0,
      until: undefined,
      callers: new Map(),
    }))
  }

  function callerOf(line: Members, route: RouteSummary): CallerSummary {
    const client = text(line.caller)
    const certificate = client === undefined ? text(line.certificate) : undefined
    const address = (client ?? certificate) === undefined ? text(line.address) : undefined
    const key = JSON.stringify({ client, certificate, address })
    const known = route.callers.get(key)
    if (known) return known
    // Scanners come from everywhere, and must not crowd out those whom the report is about.
    const isScan = route.route === undefined && route.callers.size >= most.strangers
    const isFolded = isScan || callers >= most.callers
    if (isFolded) summary.foldedCallers = true
    else callers++
    return found(route.callers, isFolded ? others : key, Number.POSITIVE_INFINITY, (isOthers) => ({
      ...noCounts(),
      client: isOthers ? undefined : client,
      certificate: isOthers ? undefined : certificate,
      isOthers,
      addresses: new Set(),
      refusals: new Map(),
      scopesSeen: new Set(),
      scopesMissing: new Set(),
    }))
  }

  function addRequest(line: Members): void {
    const route = routeOf(line)
    const caller = callerOf(line, route)
    const refusal = refusalOf(line)
    const isReport = line.mode === 'report'
    if (isReport) route.reported++
    if (isReport && line.would_be === undefined) route.undecided++
    for (const counts of [route, caller]) count(counts, refusal, text(line.time))
    if (refusal) {
      const { code, reason } = refusal
      found(caller.refusals, JSON.stringify([code, reason]), most.refusals, (isOthers) =>
        isOthers ? { code: '', reason: 'other reasons', count: 0 } : { code, reason, count: 0 },
      ).count++
    }
    const address = text(line.address)
    if (address !== undefined) addTo(caller.addresses, [address], most.addresses)
    if (!isReport) return
    addTo(caller.scopesSeen, texts(line.scopes) ?? [], most.scopes)
    addTo(caller.scopesMissing, missingScopes(line), most.scopes)
  }

  return {
    summary,
    /** Takes one line, as it stands in the log; what is no line of a request is counted, and left out. */
    add(written: string | undefined): void {
      const line = parse(written)
      if (!line) {
        if (written === undefined || written.trim() !== '') summary.lines.unreadable++
        return
      }
      if (line.msg === 'request') {
        summary.lines.requests++
        addRequest(line)
        return
      }
      summary.lines.other++
      if (line.msg === 'report mode') routeOf(line).until = text(line.until)
    },
  }
}

/** The key of what is too much to be told apart: no other key is empty. */
const others = ''

/** The entry of that key; once there are too many, the one that holds all the others. */
function found<Value>(map: Map<string, Value>, key: string, most: number, create: (isOthers: boolean) => Value): Value {
  const known = map.get(key)
  if (known) return known
  if (map.size >= most && key !== others) return found(map, others, most, create)
  const fresh = create(key === others)
  map.set(key, fresh)
  return fresh
}

function noCounts(): Counts {
  return { requests: 0, wouldBeRefused: 0, refused: 0, first: '', last: '' }
}

function count(counts: Counts, refusal: Found | undefined, time: string | undefined): void {
  counts.requests++
  if (refusal?.wouldBe) counts.wouldBeRefused++
  else if (refusal) counts.refused++
  if (time === undefined) return
  if (counts.first === '' || time < counts.first) counts.first = time
  if (time > counts.last) counts.last = time
}

interface Found {
  readonly wouldBe: boolean
  readonly code: string
  readonly reason: string
}

/**
 * With what a request was, or would have been, refused: on a route, for who its caller is; without one, for anything. What
 * goes wrong behind the gateway is no refusal.
 */
function refusalOf({ would_be: wouldBe, code, reason, route }: Members): Found | undefined {
  if (typeof wouldBe === 'object' && wouldBe !== null) {
    const { code: theirs, reason: why } = wouldBe as Members
    return { wouldBe: true, code: text(theirs) ?? '', reason: text(why) ?? '' }
  }
  const own = text(code) ?? 'ok'
  const isRefusal = route === undefined ? own !== 'ok' : isAdmissionCode(own)
  return isRefusal ? { wouldBe: false, code: own, reason: text(reason) ?? '' } : undefined
}

/** Only where a valid token says which scopes there are. Of several that would each do, all are named as one. */
function missingScopes({ scopes, required_scopes: all, required_any_scope: any }: Members): string[] {
  const had = texts(scopes)
  if (!had) return []
  const anyOf = texts(any) ?? []
  const lacksAny = anyOf.length > 0 && !anyOf.some((scope) => had.includes(scope))
  return [...(texts(all) ?? []).filter((scope) => !had.includes(scope)), ...(lacksAny ? [anyOf.join(' or ')] : [])]
}

function addTo(set: Set<string>, values: readonly string[], most: number): void {
  for (const value of values) if (set.size < most) set.add(value)
}

/** A line may stand behind what a container's log puts before it. */
function parse(written = ''): Members | undefined {
  const start = written.indexOf('{')
  if (start < 0) return undefined
  try {
    return JSON.parse(written.slice(start)) as Members
  } catch {
    return undefined
  }
}

const longestText = 300

/** Whoever writes to the log's reader decides what is shown on a terminal: nothing that could steer it. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, longestText).replace(/\p{C}/gu, '?') : undefined
}

function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.flatMap((item) => text(item) ?? []) : undefined
}
