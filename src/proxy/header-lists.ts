/**
 * What a caller may not say to an upstream, by folded name. Each of these is believed by some server, framework or
 * gateway, because it thinks that its own proxy said it.
 */

/** Ends in a dash: every name that begins so. */
function createNameSet(names: readonly string[]): (folded: string) => boolean {
  const exact = new Set(names.filter((name) => !name.endsWith('-')))
  const prefixes = names.filter((name) => name.endsWith('-'))
  return (folded) => exact.has(folded) || prefixes.some((prefix) => folded.startsWith(prefix))
}

/** Another target, host or internal step than the one that was judged: never passed on, whoever sends it. */
export const isOverride = createNameSet([
  'x-original-url', // IIS, Symfony, Zend
  'x-rewrite-url',
  'x-original-uri', // nginx auth_request
  'x-original-path',
  'x-original-method',
  'x-original-host',
  'x-override-url',
  'x-http-destinationurl', // IBM
  'x-http-host-override',
  'x-host',
  'x-request-uri',
  'x-script-name', // WSGI
  'x-forwarded-uri', // Traefik's and Caddy's forward auth; oauth2-proxy believed it
  'x-forwarded-url',
  'x-forwarded-path',
  'x-forwarded-method',
  'x-middleware-', // Next.js: x-middleware-subrequest skips its middleware
  'x-envoy-', // Envoy: what only its own mesh may say
  'x-accel-', // nginx
  'x-sendfile-type', // Rack: with x-accel-mapping, files from the disk
])

/** Where a request came from, and over what: believed from trusted proxies alone. */
export const isForwarded = createNameSet([
  'forwarded',
  'x-forwarded',
  'x-forwarded-',
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'x-true-client-ip',
  'x-cluster-client-ip',
  'x-remote-ip',
  'x-remote-addr',
  'x-originating-ip',
  'x-coming-from',
  'cf-connecting-ip', // Cloudflare
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'fastly-client-ip',
  'fly-client-ip',
  'do-connecting-ip',
  'incap-client-ip',
  'wl-proxy-client-ip', // WebLogic
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-scheme',
  'x-url-scheme',
  'front-end-https',
  'client-cert', // RFC 9440: whoever ends the TLS connection says it, or nobody
  'client-cert-chain',
  'x-arr-clientcert',
  'x-ssl-client-',
  'ssl-client-',
])

/** What ties requests together for whoever runs the caller: nothing that another company's API needs to know. */
export const isTrace = createNameSet([
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-',
  'uber-trace-id',
  'uberctx-',
  'x-request-id',
  'x-correlation-id',
  'x-amzn-trace-id',
  'x-cloud-trace-context',
  'x-datadog-',
  'sentry-trace',
])
