import { describe, expect, test } from 'bun:test'
import { createPresigner } from '../../src/storage/s3/presign.ts'
import { oddKeys } from '../contract/media.ts'

const python = Bun.which('python3')
const hasBoto = python !== null && Bun.spawnSync([python, '-c', 'import botocore.auth'], { stdout: 'ignore', stderr: 'ignore' }).success
if (!hasBoto) console.warn('SKIPPED: signatures compared with those of botocore, which is not installed (pip install boto3)')

const time = '20261121T030405Z'
const region = 'eu-west-2'
const plain = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }

describe.skipIf(!hasBoto)('a signed GET URL', () => {
  test.each([
    ['with keys', plain],
    ['with the token of a role', { ...plain, sessionToken: 'FwoGZXIvYXdzE/+==' }],
  ])('%s has the signature that botocore gives it at the same moment', async (_title, credentials) => {
    const presigner = createPresigner('http://127.0.0.1:9000/media', region)
    const options = { credentials, signedAtMs: Date.UTC(2026, 10, 21, 3, 4, 5), expiresInSeconds: 7200 }
    const urls = oddKeys.map((key) => new Parts(presigner.get(key, options)))
    const common = { key: plain.accessKeyId, secret: plain.secretAccessKey, region, time, expires: 7200 }
    const token = 'sessionToken' in credentials ? { token: credentials.sessionToken } : {}
    const lines = urls.map(({ path }) =>
      JSON.stringify({ ...common, ...token, url: `${path}?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-id=GetObject` }),
    )
    const child = Bun.spawn(['python3', `${import.meta.dir}/../support/botocore-sign.py`], {
      stdin: new Blob([lines.join('\n')]),
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const signatures = (await new Response(child.stdout).text()).trim().split('\n')
    expect(signatures).toEqual(urls.map(({ signature }) => signature))
  })
})

/** Not by a URL parser, which would resolve dot segments. */
class Parts {
  readonly path: string
  readonly signature: string

  constructor(url: string) {
    const [path = '', query = ''] = url.split('?')
    this.path = path
    this.signature = new URLSearchParams(query).get('X-Amz-Signature') ?? ''
  }
}
