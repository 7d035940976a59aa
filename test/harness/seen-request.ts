import type { IncomingMessage } from 'node:http'

/** What a server of the harness saw of a request. */
export interface SeenRequest {
  readonly method: string
  /** The request target, byte for byte. */
  readonly url: string
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
  /** As Node gives them: names in lower case. */
  readonly headers: IncomingMessage['headers']
  /** The body as far as it was read by the one who answers. */
  body(): Buffer
  /** True once the whole request has been read. */
  complete(): boolean
}

/** Watches a request without reading from it: whoever answers it reads it as ever. */
export function watchRequest(request: IncomingMessage): SeenRequest {
  const chunks: Buffer[] = []
  const emit = request.emit
  request.emit = function (this: IncomingMessage, name: string | symbol, ...rest: unknown[]): boolean {
    if (name === 'data') chunks.push(Buffer.from(rest[0] as Buffer | string))
    return Reflect.apply(emit, this, [name, ...rest])
  } as typeof emit
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    httpVersion: request.httpVersion,
    rawHeaders: request.rawHeaders,
    headers: request.headers,
    body: () => Buffer.concat(chunks),
    complete: () => request.complete,
  }
}

/** Every value of one header of a request, in order. */
export function headerValues(seen: Pick<SeenRequest, 'rawHeaders'>, name: string): string[] {
  return seen.rawHeaders.filter(
    (_, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === name.toLowerCase(),
  )
}
