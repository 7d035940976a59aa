// The index of the library loads all that belongs to `fetch` too. It has no types for its parts.
declare module 'undici/lib/dispatcher/client.js' {
  import { Client } from 'undici'
  export = Client
}
