import { remember } from './remember.ts'

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

/**
 * The spelling of a header name that every server could take it for: lower-case, with `-` for whatever is no letter or
 * digit. CGI, WSGI and their kin read `X_Client_Id` and `X-Client-Id` as one header.
 */
export const foldHeaderName = remember((name) => name.toLowerCase().replace(/[^a-z0-9]/g, '-'))

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

/** By these some frameworks serve another method than the request's own. */
export const methodOverrideHeaders: ReadonlySet<string> = new Set([
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
])

/** What frames or routes a request, or says what its body is: nothing else can stand in these. */
const framing: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'host',
  'range',
  'via',
])

/** True for a header, by folded name, that servers and proxies read for themselves: no token can go out in it. */
export function isReadOnTheWay(folded: string): boolean {
  return (
    [framing, hopByHopHeaders, methodOverrideHeaders].some((names) => names.has(folded)) ||
    [isProxyHeader, isOverride, isForwarded].some((includes) => includes(folded))
  )
}
