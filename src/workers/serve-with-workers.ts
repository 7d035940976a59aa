import cluster from 'node:cluster'

/** In the environment of a worker: the process that has started it. */
const marker = 'SCOPEGATE_PRIMARY'

/**
 * Serves a configuration by several processes. This one reads the file, starts the others anew when they end, and answers for
 * all of them on the admin listener; in those it is the same command, which does as it is told.
 * @throws {ConfigError} with every fault, or the error of the first listener that cannot be opened
 */
export async function serveWithWorkers(file: string, workers: number): Promise<void> {
  if (cluster.isWorker && process.env[marker] === String(process.ppid)) {
    const { runWorker } = await import('./worker.ts')
    return runWorker()
  }
  if (cluster.isWorker) throw new Error('workers cannot be started by a process that is a worker itself')
  const { runPrimary } = await import('./primary.ts')
  const args = ['serve', '--config', file, '--workers', String(workers)]
  return runPrimary({ file, workers, args, env: { [marker]: String(process.pid) } })
}
