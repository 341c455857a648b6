/** One small production, the same in every example, so that ids can be followed from one operation to the next. */

export const SOURCE_ID = '2f1c6a0e-84d3-4b57-9a6e-0c5d7e8f9a10'
export const VIDEO_ID = 'a2f0b1c4-5d6e-4f70-8a91-b2c3d4e5f601'
export const AUDIO_ID = 'b7d3e5f8-1a2b-4c3d-9e4f-5a6b7c8d9e02'
export const AUDIO_SOURCE_ID = '3b2d7c91-95e4-4c68-8b7f-1d6e8f9a0b21'
export const MULTI_ID = 'c9e4f6a1-2b3c-4d5e-8f60-6b7c8d9e0f13'
export const MULTI_SOURCE_ID = '4c3e8d02-a6f5-4d79-9c80-2e7f9a0b1c32'
export const PROFILE_ID = '5d4f9e13-b706-4e8a-8d91-3f80ab1c2d43'
export const STORAGE_ID = '6e50af24-c817-4f9b-9ea2-4091bc2d3e54'
export const REQUEST_ID = '7f61b035-d928-40ac-8fb3-51a2cd3e4f65'
export const DELETION_ID = '9b83d257-fb4a-42ce-8bd5-73c4ef506187'
export const WEBHOOK_ID = '8a72c146-ea39-41bd-9ac4-62b3de4f5076'
export const OBJECT_ID = '00064c0a1f5b7e93d2c8a46b0e17f5a9'
export const TIMERANGE = '[0:0_10:0)'
export const PAGE_KEY = 'q1vK2wUB'

const CREATED = '2026-03-02T09:15:00Z'
const UPDATED = '2026-03-02T09:20:30Z'

const videoTechnical = {
  format: 'urn:x-nmos:format:video',
  codec: 'video/h264',
  container: 'video/mp2t',
  avg_bit_rate: 5000,
  segment_duration: { numerator: 10 },
  essence_parameters: {
    frame_width: 1920,
    frame_height: 1080,
    frame_rate: { numerator: 25 },
    interlace_mode: 'progressive',
    colorspace: 'BT709',
    avc_parameters: { profile: 100, level: 40, flags: 0 },
  },
}

export const videoPut = {
  id: VIDEO_ID,
  source_id: SOURCE_ID,
  label: 'Stage, camera 1',
  description: 'The wide shot of the stage',
  tags: { venue: 'Leeds', language: ['en', 'cy'] },
  max_bit_rate: 8000,
  ...videoTechnical,
}

export const audioPut = {
  id: AUDIO_ID,
  source_id: AUDIO_SOURCE_ID,
  label: 'Stage, stereo mix',
  format: 'urn:x-nmos:format:audio',
  codec: 'audio/aac',
  container: 'video/mp2t',
  essence_parameters: { sample_rate: 48000, channels: 2 },
}

export const collection = [
  { id: VIDEO_ID, role: 'video' },
  { id: AUDIO_ID, role: 'audio' },
]

export const multiPut = {
  id: MULTI_ID,
  source_id: MULTI_SOURCE_ID,
  label: 'Stage, programme',
  format: 'urn:x-nmos:format:multi',
  flow_collection: collection,
}

export const profilePut = { id: VIDEO_ID, source_id: SOURCE_ID, label: 'Stage, camera 1', profile_id: PROFILE_ID }

export const flow = {
  ...videoPut,
  created: CREATED,
  created_by: 'ingest',
  metadata_updated: UPDATED,
  updated_by: 'ingest',
  metadata_version: '8072c146-ea39-41bd-9ac4-62b3de4f5076',
  segments_updated: UPDATED,
  read_only: false,
  collected_by: [MULTI_ID],
}

export const flowWithTimerange = { ...flow, timerange: '[0:0_3600:0)' }

export const source = {
  id: SOURCE_ID,
  format: 'urn:x-nmos:format:video',
  label: 'Stage, camera 1',
  created: CREATED,
  created_by: 'ingest',
  updated: UPDATED,
  updated_by: 'ingest',
  tags: { venue: 'Leeds' },
  collected_by: [MULTI_SOURCE_ID],
}

export const profilePost = {
  id: PROFILE_ID,
  label: 'HD contribution',
  description: 'H.264 in MPEG transport streams, 1080p25',
  tags: { use: 'contribution' },
  flow_metadata: videoTechnical,
}

export const profile = { ...profilePost, created: CREATED, created_by: 'ingest' }

export const service = {
  type: 'urn:x-tams:service:vast-tams',
  api_version: '8.2',
  service_version: '0.1.0',
  name: 'Studio store',
  description: 'Programmes of the last thirty days',
  min_object_timeout: '3600:0',
  min_presigned_url_timeout: '3600:0',
  event_stream_mechanisms: [{ name: 'webhooks' }, { name: 'server-sent-events', docs: 'https://tams.example.com/docs/' }],
}

export const storageBackend = {
  id: STORAGE_ID,
  label: 'embedded',
  store_type: 'http_object_store',
  provider: 'vast-tams',
  store_product: 'embedded',
  default_storage: true,
  tags: { site: 'Leeds' },
}

const MEDIA_PATH = `tams/2026/03/02/${OBJECT_ID}`
const mediaUrl = `https://tams.example.com/media/${STORAGE_ID}/${MEDIA_PATH}?expires=1772445600&signature=Zm9ydHktdHdv`
export const MEDIA_KEY = MEDIA_PATH

export const segmentPost = { object_id: OBJECT_ID, timerange: TIMERANGE }

export const externalSegmentPost = {
  object_id: 'archive/2026/stage-0001.ts',
  timerange: '[10:0_20:0)',
  ts_offset: '10:0',
  get_urls: [{ url: 'https://archive.example.com/stage-0001.ts', label: 'archive' }],
}

export const segment = { ...segmentPost, get_urls: [{ url: mediaUrl, label: 'embedded', presigned: true }] }

export const verboseSegment = {
  ...segmentPost,
  object_timerange: TIMERANGE,
  get_urls: [
    {
      url: mediaUrl,
      label: 'embedded',
      presigned: true,
      storage_id: STORAGE_ID,
      controlled: true,
      store_type: 'http_object_store',
      provider: 'vast-tams',
      store_product: 'embedded',
      tags: { site: 'Leeds' },
    },
  ],
}

const ERROR_TIME = '2026-03-02T09:21:04.118205Z'

export const failedSegments = {
  failed_segments: [
    {
      ...segmentPost,
      error: {
        type: 'overlap',
        summary: `timerange: ${TIMERANGE} overlaps [5:0_15:0) of object "stage-0007", which already exists in flow ${VIDEO_ID}`,
        time: ERROR_TIME,
      },
    },
  ],
}

export const storageAnswer = {
  media_objects: [{ object_id: OBJECT_ID, put_url: { url: mediaUrl, 'content-type': 'video/mp2t' }, presigned: true }],
}

export const mediaObject = {
  id: OBJECT_ID,
  referenced_by_flows: [VIDEO_ID],
  first_referenced_by_flow: VIDEO_ID,
  timerange: TIMERANGE,
  get_urls: segment.get_urls,
}

export const deletionRequest = {
  id: REQUEST_ID,
  flow_id: VIDEO_ID,
  timerange_to_delete: '[0:0_3600:0)',
  timerange_remaining: '[1200:0_3600:0)',
  delete_flow: true,
  created: CREATED,
  created_by: 'housekeeping',
  updated: UPDATED,
  status: 'started',
}

export const webhookPost = {
  url: 'https://hooks.example.com/tams',
  api_key_name: 'X-Api-Key',
  api_key_value: 'a key of the receiver',
  events: ['flows/segments_added', 'flows/deleted'],
  flow_ids: [VIDEO_ID],
  accept_get_urls: ['embedded'],
  presigned: true,
  tags: { team: 'playout' },
}

const { api_key_value: _secret, ...webhookMembers } = webhookPost
export const webhook = { id: WEBHOOK_ID, ...webhookMembers, status: 'started' }
export const webhookPut = { id: WEBHOOK_ID, ...webhookMembers, status: 'created' }

export const event = { id: '4711', event_timestamp: ERROR_TIME, event_type: 'flows/deleted', event: { flow_id: VIDEO_ID } }

export const delivery = {
  event: '4711',
  status: 'failed',
  time: ERROR_TIME,
  failures: 1,
  response_status: 503,
  duration_ms: 31.5,
  error: 'status 503',
}

export const health = {
  status: 'healthy',
  timestamp: ERROR_TIME,
  version: '0.1.0',
  system: { host: 'tams-0', uptime_seconds: 86400, memory_bytes: 146800640 },
  dependencies: { database: { status: 'healthy' }, storage: [{ id: STORAGE_ID, label: 'embedded', status: 'healthy' }] },
}

export const unhealthy = {
  ...health,
  status: 'unhealthy',
  dependencies: {
    database: { status: 'healthy' },
    storage: [{ id: STORAGE_ID, label: 'embedded', status: 'unhealthy', reason: 'it does not answer, or refuses what it is asked' }],
  },
}

export const error = (type: string, summary: string) => ({ type, summary, time: ERROR_TIME, message: summary })
