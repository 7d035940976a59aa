import { definePreset } from './define.ts'

const documentation = 'https://www.keycloak.org/docs/latest/server_admin/index.html'

export const keycloak = definePreset({
  name: 'keycloak',
  server: 'Keycloak',
  peculiarities: [],
  notes: [{ text: '', source: documentation }],
})
