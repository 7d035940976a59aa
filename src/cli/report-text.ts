import type { CallerSummary, Refusal, RouteSummary, Summary } from './report-summary.ts'

const mostCallers = 50

/** The summary as plain text: a table for each route, the most refusals first, and what follows from it all. */
export function reportText(summary: Summary): string {
  const { lines, foldedCallers } = summary
  const routes = sortedRoutes(summary)
  const skipped = [
    ...(lines.unreadable > 0 ? [`${count(lines.unreadable, 'line')} that could not be read left out`] : []),
    ...(foldedCallers ? ['more callers than can be told apart: some are summed up as (others)'] : []),
  ]
  const notes = [`${count(lines.requests, 'request')} in the log`, ...skipped]
  return `${[...routes.map(routeText), [...notes, ...routes.map(advice)].join('\n')].join('\n\n')}\n`
}

/** The same for programs. */
export function reportJson(summary: Summary): string {
  const { lines, foldedCallers } = summary
  const routes = sortedRoutes(summary).map((route) => ({
    listener: route.listener,
    route: route.route ?? null,
    report_mode_until: route.until ?? null,
    requests_in_report_mode: route.reported,
    undecided: route.undecided,
    ...counts(route),
    callers: sorted(route.callers.values()).map((caller) => ({
      client: caller.client ?? null,
      certificate: caller.certificate ?? null,
      addresses: [...caller.addresses],
      ...counts(caller),
      refusals: sortedRefusals(caller),
      scopes_seen: [...caller.scopesSeen].sort(),
      scopes_missing: [...caller.scopesMissing].sort(),
    })),
  }))
  return `${JSON.stringify({ lines, callers_summed_up: foldedCallers, routes }, null, 2)}\n`
}

function counts({ requests, wouldBeRefused, refused, first, last }: RouteSummary | CallerSummary) {
  return { requests, would_be_refused: wouldBeRefused, refused, first: first || null, last: last || null }
}

function routeText(route: RouteSummary): string {
  const callers = sorted(route.callers.values())
  const shown = callers.slice(0, mostCallers)
  const head = ['caller', 'requests', 'would be refused', 'refused', 'first', 'last']
  const rows = shown.map((caller) => [
    nameOf(caller),
    String(caller.requests),
    String(caller.wouldBeRefused),
    String(caller.refused),
    caller.first,
    caller.last,
  ])
  const [top = '', ...lines] = aligned([head, ...rows])
  const body = lines.flatMap((line, index) => [line, ...details(shown[index])])
  const more = callers.length - shown.length
  return [
    title(route),
    ...(callers.length > 0 ? [top, ...body] : []),
    ...(more > 0 ? [`and ${count(more, 'more caller')}: --json tells of all`] : []),
  ].join('\n')
}

function details(caller: CallerSummary | undefined): string[] {
  if (!caller) return []
  const { scopesSeen, scopesMissing } = caller
  return [
    ...sortedRefusals(caller).map(({ code, reason, count: times }) => {
      const why = [code, reason].filter((part) => part !== '').join(': ')
      return `    ${times} × ${why}`
    }),
    ...(scopesSeen.size > 0 ? [`    scopes seen: ${[...scopesSeen].sort().join(' ')}`] : []),
    ...(scopesMissing.size > 0 ? [`    scopes missing: ${[...scopesMissing].sort().join(', ')}`] : []),
    ...((caller.client ?? caller.certificate) !== undefined && caller.refusals.size > 0
      ? [`    from ${[...caller.addresses].join(', ')}`]
      : []),
  ]
}

function title({ listener, route, reported, until }: RouteSummary): string {
  if (route === undefined) return `requests that no route of the listener ${listener} owns`
  const mode = until === undefined ? 'in report mode' : `in report mode until ${until}`
  return `route ${route} of the listener ${listener}${reported > 0 || until !== undefined ? `, ${mode}` : ''}`
}

/** What the counts of a route mean for whoever decides about it. */
function advice({
  route,
  requests,
  reported,
  undecided,
  wouldBeRefused,
  refused,
  until,
  callers,
}: RouteSummary): string {
  if (route === undefined)
    return `without a route: ${refused} of ${count(requests, 'request')} refused, in report mode or not`
  if (reported === 0 && until !== undefined && requests === 0)
    return `route ${route}: no request was seen, so nothing is known`
  if (reported === 0) return `route ${route}: enforces: ${refused} of ${count(requests, 'request')} refused`
  const since = refused > 0 ? `; ${refused} refused while it enforced` : ''
  if (wouldBeRefused === 0 && undecided > 0)
    return `route ${route}: not known yet: ${undecided} of ${count(reported, 'request')} ended before it was decided${since}`
  if (wouldBeRefused === 0)
    return `route ${route}: safe to enforce: 0 of ${count(reported, 'request')} would have been refused${since}`
  const concerned = [...callers.values()].filter((caller) => caller.wouldBeRefused > 0)
  const told = concerned.filter(({ isOthers }) => !isOthers).length
  const whose = `${told < concerned.length ? 'more than ' : ''}${count(told, 'caller')}`
  return `route ${route}: not yet: ${wouldBeRefused} of ${count(reported, 'request')} would have been refused, of ${whose}${since}`
}

function nameOf({ client, certificate, isOthers, addresses }: CallerSummary): string {
  if (isOthers) return '(others)'
  const [address = 'unknown'] = addresses
  if (client !== undefined) return `client ${client}`
  return certificate === undefined ? `address ${address}` : `certificate ${certificate}`
}

/** Text to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column >= 1 && column <= 3 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}

function sortedRoutes({ routes }: Summary): RouteSummary[] {
  return sorted(routes.values())
}

type Counted = Pick<RouteSummary, 'wouldBeRefused' | 'refused' | 'requests'>

function sorted<Entry extends Counted>(entries: Iterable<Entry>): Entry[] {
  const weight = ({ wouldBeRefused, refused }: Counted) => wouldBeRefused + refused
  return [...entries].sort((one, other) => weight(other) - weight(one) || other.requests - one.requests)
}

function sortedRefusals({ refusals }: CallerSummary): Refusal[] {
  return [...refusals.values()].sort((one, other) => other.count - one.count)
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
