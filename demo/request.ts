import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

/** One request of the walk, from which both the request itself and its curl line are made. */
export interface DemoRequest {
  /** Such as `http://127.0.0.1:49152`. */
  readonly origin: string
  /** Sent as it stands. */
  readonly path: string
  readonly method?: 'PUT'
  /** A file with one header in it. */
  readonly headerFile?: string
  /** Sent as Basic credentials, `name:secret`. */
  readonly credentials?: string
  readonly form?: Readonly<Record<string, string>>
}

export interface DemoAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The same request as a line for a shell. */
export function curlLine({ origin, path, method, headerFile, credentials, form }: DemoRequest): string {
  return [
    'curl -i',
    ...(path.includes('/../') ? ['--path-as-is'] : []),
    ...(method && !form ? ['-X', method] : []),
    ...(headerFile ? ['-H', `@${headerFile}`] : []),
    ...(credentials ? ['-u', credentials] : []),
    ...Object.entries(form ?? {}).map(([name, value]) => `-d ${name}=${value}`),
    `${origin}${path}`,
  ].join(' ')
}

/** Sends it. The path goes out byte for byte, which `fetch` would not do. */
export async function send({ origin, path, method, headerFile, credentials, form }: DemoRequest): Promise<DemoAnswer> {
  const { hostname, port } = new URL(origin)
  const [name = '', value = ''] = headerFile ? readFileSync(headerFile, 'utf8').trim().split(': ') : []
  const body = form && new URLSearchParams(form).toString()
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, path, method: method ?? (form ? 'POST' : 'GET'), agent: false },
      async (response) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) })
      },
    )
    request.on('error', reject)
    if (name) request.setHeader(name, value)
    if (credentials) request.setHeader('authorization', `Basic ${btoa(credentials)}`)
    if (body) request.setHeader('content-type', 'application/x-www-form-urlencoded')
    request.end(body)
  })
}

/** What a person wants to see of an answer: the status, the challenge, and the body with tokens cut short. */
export function describeAnswer({ status, headers, body }: DemoAnswer): string[] {
  const challenge = headers['www-authenticate']
  return [
    `HTTP ${status}`,
    ...(challenge ? [`WWW-Authenticate: ${challenge}`] : []),
    body.replace(/(eyJ[\w-]{8})[\w.-]+/g, '$1…'),
  ]
}
