import type { Duplex } from 'node:stream'

const headEnd = '\r\n\r\n'
const statusLine = /^HTTP\/(\d\.\d) (\d{3})(?: ([^\r\n]*))?\r\n/
/** As many bytes as most of them have. */
const shortLine = 64

/**
 * Reads the first line of an answer, which undici keeps to itself in part: what was read from the connection since its
 * request went out is looked at once more.
 */
export class AnswerHeads {
  #pieces: Buffer[] | undefined
  #isEmpty = true

  /** Looks at what is read from a connection. */
  watch(socket: Duplex): void {
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null
    socket.read = (size?: number) => {
      const piece = read(size)
      if (piece && this.#pieces) {
        this.#isEmpty = false
        this.#pieces.push(piece)
      }
      return piece
    }
  }

  /** From now on a request waits for its answer. */
  expect(): void {
    this.#pieces = []
    this.#isEmpty = true
  }

  /** True if nothing has come yet. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** An answer such as 103 has come before the one that counts. */
  passInterim(): void {
    const all = this.#all()
    this.#pieces = [all.subarray(all.indexOf(headEnd) + headEnd.length)]
  }

  /** True if what comes next is a 100. */
  nextIsContinue(): boolean {
    return this.#readLine()?.[2] === '100'
  }

  /** What the first line says of the answer that counts, whose head has been read. Nothing is kept from then on. */
  take(): { readonly httpVersion: string; readonly statusMessage: string } {
    const [, httpVersion = '?', , statusMessage = ''] = this.#readLine() ?? []
    this.#pieces = undefined
    return { httpVersion, statusMessage }
  }

  #readLine(): RegExpExecArray | null {
    const begun = this.#pieces?.[0]?.toString('latin1', 0, shortLine)
    return statusLine.exec(begun ?? '') ?? statusLine.exec(this.#all().toString('latin1'))
  }

  #all(): Buffer {
    const [first = Buffer.of(), ...others] = this.#pieces ?? []
    return others.length === 0 ? first : Buffer.concat([first, ...others])
  }
}
