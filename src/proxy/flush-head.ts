import type { OutgoingMessage } from 'node:http'

/**
 * Sends the head of a message whose body is yet to come. Node's `flushHeaders` would write it as UTF-8, and make two
 * bytes of each one above ASCII.
 */
export function flushHead(message: OutgoingMessage): void {
  message.write('', 'latin1')
}
