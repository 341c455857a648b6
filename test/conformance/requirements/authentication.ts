import type { Sections } from './section.ts'

export const authentication: Sections = {
  '12': {
    title: 'Authentication',
    must: [
      'Basic, Bearer and access_token, each sufficient alone',
      {
        statement: 'TLS is assumed; no authentication is for development only',
        note: 'TLS is left to a proxy; without credentials the service listens only on loopback, unless TAMS_INSECURE=true.',
      },
    ],
  },
}
