import type { Sections } from './section.ts'

export const crossResource: Sections = {
  '11.1': {
    title: 'Sources follow flows',
    must: ['A flow with an unknown source_id makes the source, with its format', 'The source goes with its last flow'],
    should: ['All flows of a source have its format'],
  },
  '11.2': {
    title: 'Collections',
    must: ['Flows collect flows, sources sources; a flow may be in several collections'],
    should: ['collected_by of a flow is computed', 'Collections of sources follow those of their flows, with role and order'],
  },
  '11.3': { title: 'Time range of a flow', must: ['From the start of the first to the end of the last segment; () without any'] },
  '11.4': {
    title: 'Bookkeeping',
    should: [
      'metadata_version of the client is taken at creation',
      'It is new whenever metadata changes without a new one',
      {
        statement: 'created_by and updated_by come from the authenticated principal',
        note: 'Taken from the principal of the request; without authentication (12) that is always `anonymous`.',
      },
    ],
  },
  '11.5': {
    title: 'Read-only flows',
    must: ['PUT of read_only and all reads still work'],
    should: ['Every other write to a read-only flow is 403'],
  },
  '11.6': {
    title: 'Profiles and flows',
    must: [
      'profile_id with a complete technical variant is 400',
      'Reads show the technical metadata of the profile and profile_id',
      'Common members change normally',
    ],
    should: ['profile_id with any technical member is 400', 'An unknown profile_id is 400', 'profile_id "" with complete metadata unlinks'],
  },
}
