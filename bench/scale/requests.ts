/** The head of a GET request. */
export function requestOf(path: string, token?: string): Buffer {
  const credentials = token === undefined ? [] : [`Authorization: Bearer ${token}`]
  const head = [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Accept: application/json', ...credentials]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1')
}

/** One after the other, and again from the first. */
export function inTurn(requests: readonly Buffer[]): () => Buffer {
  let next = 0
  return () => {
    const request = requests[next % requests.length] ?? Buffer.alloc(0)
    next += 1
    return request
  }
}
