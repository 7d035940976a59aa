import type { Aggregator, Registry as AnyRegistry } from 'prom-client'
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Registry from 'prom-client/lib/registry.js'
import { version } from '../base/version.ts'
import { createHistogram } from './histogram.ts'

/** What became of one request. Every text in it is a name of the configuration or one of a few words of our own. */
export interface CountedRequest {
  readonly listener: string
  readonly status: number | undefined
  /** From its headers to the end of its answer. */
  readonly seconds: number
  readonly outcome: {
    readonly code: string
    /** Missing where no route owns the request: what callers send never becomes a label. */
    readonly route?: string
    readonly client?: string
    readonly tokenSource?: string
    readonly replaced?: true
    readonly report?: { readonly refusal?: { readonly code: string } }
  }
}

/** The counters of one gateway. */
export interface Metrics {
  countRequest(request: CountedRequest): void
  /** A connection that was refused before there was a request on it. */
  countRefusedConnection(listener: string, code: string): void
  /** An error in the gateway itself of which no request tells. */
  countInternalError(): void
  /** All of them as text for Prometheus, of the type {@link metricsContentType}. */
  text(): Promise<string>
  /** The same as values that another process can sum. */
  snapshot(): Promise<MetricSnapshot>
}

/** What was counted up to a moment, as it can be sent to another process. */
export type MetricSnapshot = Awaited<ReturnType<AnyRegistry['getMetricsAsJSON']>>

export interface MetricsSources {
  /** How many requests are on their way. */
  inFlight(): number
  /** The routes in report mode, and when that ends, in milliseconds since the epoch. */
  readonly trials: readonly { readonly listener: string; readonly route: string; readonly until: number }[]
}

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE

/** In seconds: from an answer out of memory to the longest that an upstream may take by default. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Counters in a registry of their own: a program may have several gateways, and metrics besides. */
export function createMetrics({ inFlight, trials }: MetricsSources): Metrics {
  const registry = new Registry()
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name: `scopegate_${name}`, help, labelNames, registers: [registry] })
  const requests = counter(
    'requests_total',
    'Requests, by status and outcome; every code but ok is a refusal or failure.',
    ['listener', 'route', 'status', 'code'],
  )
  const durations = createHistogram(registry, {
    name: 'scopegate_request_duration_seconds',
    help: 'From the headers of a request to the end of its answer.',
    buckets,
  })
  const wouldBe = counter(
    'report_refusals_total',
    'Requests that a route in report mode let in and would have refused.',
    ['listener', 'route', 'code'],
  )
  const tokens = counter(
    'access_tokens_total',
    'Requests that went out with a token of a client, by where it came from.',
    ['client', 'source'],
  )
  const replaced = counter('access_tokens_replaced_total', 'Tokens that an upstream refused and that were replaced.', [
    'client',
  ])
  const refusedConnections = counter('connections_refused_total', 'Connections refused before there was a request.', [
    'listener',
    'code',
  ])
  const internalErrors = counter('internal_errors_total', 'Errors in the gateway itself that nobody foresaw.', [])
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    { collect, aggregator }: { collect?: (this: Gauge<Label>) => void; aggregator?: Aggregator } = {},
  ) =>
    new Gauge({
      name: `scopegate_${name}`,
      help,
      labelNames,
      registers: [registry],
      ...(collect && { collect }),
      // What is the same in several processes, and no sum.
      ...(aggregator && { aggregator }),
    })
  gauge('requests_in_flight', 'Requests that are on their way.', [], {
    collect() {
      this.set(inFlight())
    },
  })
  const ends = gauge(
    'report_mode_until_timestamp_seconds',
    'When a route in report mode begins to enforce, in Unix time.',
    ['listener', 'route'],
    { aggregator: 'first' },
  )
  for (const { listener, route, until } of trials) ends.set({ listener, route }, until / 1000)
  gauge('build_info', 'Always 1; tells the version.', ['version'], { aggregator: 'first' }).set({ version }, 1)

  /** Added up by listener and route until somebody looks: the library takes long for each one. */
  const allSeries = new Map<string, Map<string, Series>>()
  const sources = createPairs()
  const seriesOf = (listener: string, route: string): Series => {
    const known = allSeries.get(listener)?.get(route)
    if (known) return known
    const labels = { listener, route }
    const made = { labels, observe: durations.withLabels(labels), answers: createPairs() }
    const routes = allSeries.get(listener) ?? new Map<string, Series>()
    allSeries.set(listener, routes.set(route, made))
    return made
  }
  const countAll = () => {
    for (const routes of allSeries.values())
      for (const series of routes.values()) {
        series.answers.take((status, code, times) => requests.inc({ ...series.labels, status, code }, times))
      }
    sources.take((client, source, times) => tokens.inc({ client, source }, times))
  }

  return {
    countRequest({ listener, status = '', seconds, outcome }) {
      const { code, route = '', client, tokenSource, report } = outcome
      const series = seriesOf(listener, route)
      series.answers.add(status, code)
      series.observe(seconds)
      if (client !== undefined && tokenSource !== undefined) sources.add(client, tokenSource)
      if (client !== undefined && outcome.replaced) replaced.inc({ client })
      if (report?.refusal) wouldBe.inc({ listener, route, code: report.refusal.code })
      if (code === 'internal_error') internalErrors.inc()
    },
    countRefusedConnection: (listener, code) => refusedConnections.inc({ listener, code }),
    countInternalError: () => internalErrors.inc(),
    text() {
      countAll()
      return registry.metrics()
    },
    snapshot() {
      countAll()
      return registry.getMetricsAsJSON()
    },
  }
}

/** The requests of one listener and route. */
interface Series {
  readonly labels: { readonly listener: string; readonly route: string }
  readonly observe: (seconds: number) => void
  readonly answers: Pairs
}

/** How often each pair of labels was seen. */
interface Pairs {
  add(one: string | number, other: string): void
  /** Gives out all of them, and begins anew. */
  take(each: (one: string | number, other: string, times: number) => void): void
}

function createPairs(): Pairs {
  const seen = new Map<string | number, Map<string, number>>()
  return {
    add(one, other) {
      const times = seen.get(one)
      if (times) times.set(other, (times.get(other) ?? 0) + 1)
      else seen.set(one, new Map([[other, 1]]))
    },
    take(each) {
      for (const [one, others] of seen) for (const [other, times] of others) each(one, other, times)
      seen.clear()
    },
  }
}
