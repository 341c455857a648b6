import { Type } from '@sinclair/typebox'
import * as example from '../examples.ts'
import type { Operations } from '../model.ts'
import { answer, onlyFailing } from '../responses.ts'
import { Health } from '../schemas.ts'

const examined = {
  200: answer('Everything that is needed is there.', Health, example.health),
  503: answer('Something that is needed is away; `dependencies` says what.', Health, example.unhealthy),
  ...onlyFailing(500),
}

export const healthOperations: Operations = {
  GET_health: {
    method: 'get',
    path: '/health',
    tag: 'Health',
    summary: 'Examine the service and its stores',
    description: 'State of the database and of every storage backend, each looked at now.',
    responses: examined,
  },
  'GET_health-live': {
    method: 'get',
    path: '/health/live',
    tag: 'Health',
    summary: 'Tell whether the process answers',
    description: 'Looks at no store: for restarting a process that hangs.',
    responses: {
      200: answer('It does.', Type.Object({ status: Type.Literal('healthy') }), { status: 'healthy' }),
      ...onlyFailing(500),
    },
  },
  'GET_health-ready': {
    method: 'get',
    path: '/health/ready',
    tag: 'Health',
    summary: 'Tell whether requests can be served',
    description: 'The same examination as `/health`: for taking a replica out of the rotation.',
    responses: examined,
  },
  GET_metrics: {
    method: 'get',
    path: '/metrics',
    tag: 'Health',
    summary: 'Read the figures of this process',
    description: 'In the text format of Prometheus. What the store holds (`tams_flows_total` …) is counted once a minute.',
    responses: {
      200: {
        description: 'The figures.',
        content: { 'text/plain': { schema: Type.String(), example: '# TYPE tams_flows_total gauge\ntams_flows_total 128\n' } },
      },
      ...onlyFailing(500),
    },
  },
}
