import { z } from 'zod'
import { authorizationServerOptions } from '../authorization-server/authorization-server.ts'
import { keySetOptions } from '../authorization-server/key-set.ts'
import { faultRule } from '../base/fault-rule.ts'
import { duration, flag, listOf, oneOf, oneOrMore, parsedText, ruleOverMap, text } from '../base/scalars.ts'
import { clientOptions, tokenOptions } from '../egress/client.ts'
import { registrationFileOptions } from '../egress/registration/registration-options.ts'
import { tokenCacheOptions } from '../egress/token-cache/index.ts'
import { accessTokenOptions } from '../ingress/access-token-options.ts'
import { findBrowserFault } from '../ingress/browser-rule.ts'
import { callersOptions } from '../ingress/callers.ts'
import { findReportModeFault, reportModeOptions } from '../ingress/report-mode.ts'
import { requireOptions } from '../ingress/requirement.ts'
import { identityHeadersOption, proxyRouteOptions } from '../proxy/route-options.ts'
import { hostPattern, pathOptions } from '../routes/path-options.ts'
import { adminOptions, listenerOptions } from './listener.ts'

/** The name that the user gives to a listener, a server or a client. */
const name = () =>
  z
    .string()
    .regex(
      /^[A-Za-z0-9][\w.-]*$/,
      'is no usable name: letters, digits, ".", "_" and "-", beginning with a letter or digit',
    )

const named = <Options extends z.ZodType>(options: Options) => z.record(name(), options)

const routeName = () =>
  parsedText<string>('a name of letters, digits and any of . _ - / * :', (given) =>
    /^[\w.\-/*: ,]{1,200}$/.test(given) ? given : undefined,
  )

const given = (value: unknown) => value !== undefined

/** One route: which requests, who may come in, with which token and where they go on. */
export const routeOptions = z
  .strictObject({
    name: routeName()
      .optional()
      .describe('in logs; default is host, path and methods, behind the listener where several have the same'),
    listener: text().optional().describe('needed as soon as there are two listeners'),
    ...pathOptions,
    public: flag().optional().describe('true: anybody may come in; stands alone'),
    require: requireOptions.optional(),
    callers: callersOptions.optional(),
    browsers: flag()
      .optional()
      .describe('on a route with token and without require: true lets the pages of browsers use it'),
    hosts: listOf(hostPattern())
      .optional()
      .describe('on such a route: further hosts that it may be asked for by, as in `host`'),
    preflight: oneOf('forward')
      .optional()
      .describe('`forward`: what browsers ask before a page of another origin may (CORS) goes on without a token'),
    ...reportModeOptions,
    token: tokenOptions.optional(),
    ...proxyRouteOptions,
  })
  .refine((route) => given(route.public) || given(route.require) || given(route.callers), {
    ...ruleOverMap,
    message:
      'does not say who may come in: give it require (a token), callers (a network or certificate), or public: true',
  })
  .refine((route) => route.public !== false, {
    ...ruleOverMap,
    path: ['public'],
    message: 'can only be true; a route that is not public has require or callers instead',
  })
  .refine((route) => !(route.public === true && (given(route.require) || given(route.callers))), {
    ...ruleOverMap,
    path: ['public'],
    message: 'stands beside require or callers, and must stand alone: keep one of them',
  })
  .refine((route) => !(given(route.public) && given(route.token)), {
    ...ruleOverMap,
    path: ['token'],
    message: "would hand the gateway's credentials to anybody, because the route is public: use callers or require",
  })
  .refine((route) => given(route.require) || !given(route.token?.exchange), {
    ...ruleOverMap,
    path: ['token', 'exchange'],
    message: 'stands on a route without require, where no caller has a token that could be exchanged: add require',
  })
  .refine((route) => !(given(route.token) && route.forward_authorization === true), {
    ...ruleOverMap,
    path: ['forward_authorization'],
    message: "stands on a route with token, where the gateway's own stands in its place: remove it",
  })
  .refine((route) => !given(route.upstream_401) || given(route.token), {
    ...ruleOverMap,
    path: ['upstream_401'],
    message: 'stands on a route without token, where the answers of the upstream are passed on as they are',
  })
  .refine((route) => !given(route.end_at_token_expiry) || given(route.require), {
    ...ruleOverMap,
    path: ['end_at_token_expiry'],
    message: 'stands on a route without require, where no token of the caller expires: remove it',
  })
  .check(faultRule(['mode', 'until'], findReportModeFault))
  .check(faultRule(['browsers', 'hosts', 'preflight'], findBrowserFault))

/** An authorization server as the file writes it: what both wings ask of it, and what makes its tokens trusted. */
const authorizationServer = authorizationServerOptions({
  keys: keySetOptions,
  access_tokens: accessTokenOptions.optional(),
})

/** The whole file. */
export const configOptions = z.strictObject({
  include: oneOrMore(text())
    .optional()
    .describe(
      'further files with routes, and nothing else: paths or patterns such as routes/*.yaml, relative to this file',
    ),
  listeners: named(listenerOptions).prefault({ main: {} }).describe('default: one, `main`, on 127.0.0.1:8080'),
  admin: adminOptions.optional(),
  shutdown_grace: duration()
    .prefault('30s')
    .describe('how long requests in flight may take to finish when the process stops'),
  authorization_servers: named(authorizationServer).default({}),
  clients: named(clientOptions).default({}),
  token_cache: tokenCacheOptions,
  registrations: registrationFileOptions.optional(),
  routes: z
    .array(routeOptions)
    .min(1, 'is an empty list: without a route nothing can be served')
    .describe('must be given, here or in the files of include'),
  identity_headers: identityHeadersOption
    .optional()
    .describe("for every route with require; a route's own are added to these"),
})

/** The same for a program that only wants tokens. */
export const configOptionsWithoutRoutes = configOptions.extend({ routes: z.array(routeOptions).default([]) })

export type ConfigOptions = z.output<typeof configOptions>
export type RouteOptions = z.output<typeof routeOptions>

/** The JSON Schema (draft 2020-12) of the file, for editors; `scopegate schema` prints it. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configOptions, { io: 'input', unrepresentable: 'any' })
  const { required: _, ...rest } = schema
  // Whoever includes routes needs none here.
  const anyOf = [{ required: ['routes'] }, { required: ['include'] }]
  return { title: 'scopegate configuration', ...rest, anyOf, patternProperties: { '^x-': {} } }
}
