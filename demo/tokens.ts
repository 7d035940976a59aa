import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose'
import { type ClientName, clients } from './authorization-server.ts'
import { type DemoRequest, send } from './request.ts'

/** The request by which a client gets a token for the customers service. */
export function tokenRequest(issuer: string, client: ClientName, scope: string): DemoRequest {
  const form = { grant_type: 'client_credentials', scope }
  return { origin: issuer, path: '/token', credentials: `${client}:${clients[client]}`, form }
}

/** Obtains a token for a client, and writes it as a header to a file that curl can read. Returns the file's name. */
export async function writeTokenHeader(
  folder: string,
  issuer: string,
  client: ClientName,
  scope: string,
): Promise<string> {
  const { body } = await send(tokenRequest(issuer, client, scope))
  return writeHeader(folder, client, readToken(body))
}

/** The token in a token response. */
function readToken(body: string): string {
  return String(Object(JSON.parse(body)).access_token)
}

/** Writes `Authorization: Bearer …` to a file. Returns its name. */
export function writeHeader(folder: string, name: string, token: string): string {
  const file = join(folder, `${name}.header`)
  writeFileSync(file, `Authorization: Bearer ${token}\n`)
  return file
}

/** The same claims and the same header, signed with a key that is not the authorization server's. */
export async function forge(token: string): Promise<string> {
  const { privateKey } = await generateKeyPair('RS256')
  const { alg = 'RS256', kid = '', typ = '' } = decodeProtectedHeader(token)
  return new SignJWT(decodeJwt(token)).setProtectedHeader({ alg, kid, typ }).sign(privateKey)
}
