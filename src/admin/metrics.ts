import type { Aggregator, Registry as AnyRegistry } from 'prom-client'
import Counter from 'prom-client/lib/counter.js'
import Gauge from 'prom-client/lib/gauge.js'
import Histogram from 'prom-client/lib/histogram.js'
import Registry from 'prom-client/lib/registry.js'
import { version } from '../base/version.ts'

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

/** Requests that wait to be counted. Whoever asks for the figures gets theirs too. */
const mostUncounted = 256

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
  const durations = new Histogram({
    name: 'scopegate_request_duration_seconds',
    help: 'From the headers of a request to the end of its answer.',
    labelNames: ['listener', 'route'],
    buckets,
    registers: [registry],
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

  /** Counted many at a time, they cost a fraction each. */
  let uncounted: CountedRequest[] = []
  const countAll = () => {
    const all = uncounted
    uncounted = []
    for (const { listener, status, seconds, outcome } of all) {
      const { code, route = '', client, tokenSource, report } = outcome
      requests.inc({ listener, route, status: status ?? '', code })
      durations.observe({ listener, route }, seconds)
      if (report?.refusal) wouldBe.inc({ listener, route, code: report.refusal.code })
      if (client !== undefined && tokenSource !== undefined) tokens.inc({ client, source: tokenSource })
      if (client !== undefined && outcome.replaced) replaced.inc({ client })
      if (code === 'internal_error') internalErrors.inc()
    }
  }

  return {
    countRequest(request) {
      if (uncounted.push(request) >= mostUncounted) countAll()
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
