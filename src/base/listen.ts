import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'

/**
 * Opens a listener.
 * @throws an error that names it, if that cannot be done
 */
export async function listen(
  server: Server,
  name: string,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<AddressInfo> {
  server.listen({ host, port })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`the listener ${name} cannot be opened on ${host}:${port} (${code})`, { cause: error })
  }
  return server.address() as AddressInfo
}
