import { maxHeaderSize } from 'node:http'
import type { Duplex } from 'node:stream'

const statusLine = /^HTTP\/(\d\.\d) (\d{3})(?: ([^\r\n]*))?\r?\n/
const headEnd = '\r\n\r\n'
/** As many bytes as most status lines have. */
const shortLine = 64

/**
 * Reads the status line of an answer, of which undici does not tell the version, nor the reason as it came: what is read
 * from the connection is looked at on its way.
 */
export class AnswerLine {
  #expected = false
  #isEmpty = true
  #rest = ''
  #met100 = false
  #read: RegExpExecArray | undefined
  #piece: Buffer | undefined

  /** Looks at what is read from a connection from now on. A line, or an interim head, that is too long ends it. */
  watch(socket: Duplex): void {
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null
    socket.read = (size?: number) => {
      const piece = read(size)
      this.#piece = piece ?? undefined
      if (!piece || !this.#expected) return piece
      this.#isEmpty = false
      this.#look(piece)
      const length = this.#expected ? this.#rest.length : (this.#read?.[0].length ?? 0)
      if (length <= maxHeaderSize) return piece
      socket.destroy(Object.assign(new Error('the status line is too long'), { code: 'HPE_HEADER_OVERFLOW' }))
      return null
    }
  }

  /** A request has gone out, and waits for its answer. */
  expect(): void {
    this.#expected = true
    this.#isEmpty = true
    this.#rest = ''
    this.#met100 = false
    this.#read = undefined
  }

  /** True if nothing has come yet. */
  get isEmpty(): boolean {
    return this.#isEmpty
  }

  /** True if there was a 100 on the way to the answer. */
  get met100(): boolean {
    return this.#met100
  }

  /** As `1.1`; `?` if there was none that could be read. */
  get httpVersion(): string {
    return this.#read?.[1] ?? '?'
  }

  /** What was read last. */
  get piece(): Buffer | undefined {
    return this.#piece
  }

  get reason(): string {
    return this.#read?.[3] ?? ''
  }

  #look(piece: Buffer): void {
    const begun = this.#rest === '' ? statusLine.exec(piece.toString('latin1', 0, shortLine)) : null
    if (begun && !isInterim(begun)) {
      this.#end(begun)
      return
    }
    let text = this.#rest + piece.toString('latin1')
    for (;;) {
      // Empty lines may come before it. @see https://www.rfc-editor.org/rfc/rfc9112#section-2.2
      text = text.replace(/^[\r\n]+/, '')
      const lineEnd = text.indexOf('\n')
      if (lineEnd < 0) break
      const read = statusLine.exec(text)
      if (!read || !isInterim(read)) {
        this.#end(read)
        return
      }
      if (read[2] === '100') this.#met100 = true
      const end = text.indexOf(headEnd, lineEnd - 1)
      if (end < 0) break
      text = text.slice(end + headEnd.length)
    }
    this.#rest = text
  }

  /** What follows is the parser's alone. */
  #end(read: RegExpExecArray | null): void {
    this.#read = read ?? undefined
    this.#expected = false
    this.#rest = ''
  }
}

/** True for the line of an answer such as 103, behind which the one that counts is yet to come. */
function isInterim([, , status = '']: RegExpExecArray): boolean {
  return status.startsWith('1') && status !== '101'
}
