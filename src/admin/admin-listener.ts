import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listen } from '../base/listen.ts'
import { type AdminSources, createAdmin } from './admin.ts'

export interface AdminListener {
  readonly address: AddressInfo
  close(): void
}

/** Opens the admin listener. @throws an error that names it, if that cannot be done */
export async function openAdmin(
  address: { readonly host: string; readonly port: number },
  sources: AdminSources,
): Promise<AdminListener> {
  const server = createServer(createAdmin(sources))
  return {
    address: await listen(server, 'admin', address),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
