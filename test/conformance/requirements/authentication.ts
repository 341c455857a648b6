import type { Sections } from './section.ts'

export const authentication: Sections = {
  '12': {
    title: 'Authentication',
    must: [
      {
        statement: 'Basic, Bearer and access_token, each sufficient alone',
        unmet: 'Comes with authentication: until then everybody is `anonymous` and may do everything.',
      },
      {
        statement: 'TLS is assumed; no authentication is for development only',
        unmet:
          'Comes with authentication: until then the service listens only on loopback unless TAMS_INSECURE=true, and TLS is left to a proxy.',
      },
    ],
  },
}
