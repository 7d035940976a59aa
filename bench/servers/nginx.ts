import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../test/harness/redis.ts'
import { findProgram, type Running, startNodeProgram, startProgram } from '../processes.ts'
import { type Surroundings, scope } from '../surroundings.ts'

/** nginx, which asks a process with jose about each request. `undefined` if it is not installed. */
export async function startNginx(around: Surroundings, name: string): Promise<Running | undefined> {
  const program = findProgram('NGINX_BIN', ['nginx'])
  if (program === undefined) return undefined
  const { folder, cores } = around
  const verifier = await startVerifier(around, name)
  const port = await freePort()
  const file = join(folder, `${name}.conf`)
  writeFileSync(file, configurationOf(around, { port, verifier: verifier.port }))
  const command = [program, '-p', folder, '-c', file, '-e', 'stderr']
  const nginx = await startProgram({ command, logFile: join(folder, `${name}.log`), port }, cores)
  return both(nginx, verifier)
}

function startVerifier({ issuer, jwksUri, audience, folder, cores }: Surroundings, name: string): Promise<Running> {
  const args = [fileURLToPath(new URL('jose-verifier.ts', import.meta.url))]
  const env = { ISSUER: issuer, JWKS_URI: jwksUri, AUDIENCE: audience, SCOPE: scope }
  return startNodeProgram({ args, env, logFile: join(folder, `${name}-verifier.log`) }, cores)
}

/** Connections are kept on all sides; the load would take the end of one for a failure. */
function configurationOf(
  { upstream, folder }: Surroundings,
  { port, verifier }: { readonly port: number; readonly verifier: number },
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((kind) => `${kind}_temp_path ${folder}/nginx-${kind};`).join('\n  ')}
  keepalive_requests 1000000000;
  proxy_http_version 1.1;
  upstream service { server ${new URL(upstream).host}; keepalive 64; }
  upstream verifier { server 127.0.0.1:${verifier}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      auth_request /verify;
      proxy_set_header Connection "";
      proxy_pass http://service;
    }
    location = /verify {
      internal;
      proxy_pass_request_body off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_pass http://verifier;
    }
  }
}
`
}

function both(server: Running, beside: Running): Running {
  return {
    pids: [...server.pids, ...beside.pids],
    port: server.port,
    emptyLog() {
      server.emptyLog()
      beside.emptyLog()
    },
    async stop() {
      await Promise.all([server.stop(), beside.stop()])
    },
  }
}
