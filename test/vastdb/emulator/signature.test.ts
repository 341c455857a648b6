import { describe, expect, test } from 'bun:test'
import { checkSignature, type SignedRequest } from '../../emulators/vast/signature.ts'
import { vector } from '../vectors.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)
const CREDENTIALS = { accessKey: 'AKIDEXAMPLE', secretKey: 'SECRETEXAMPLE' }

const signed = (method: string, url: string, signature: string, body: Uint8Array = new Uint8Array(0)): SignedRequest => ({
  method,
  url,
  body,
  headers: {
    host: 'localhost:9090',
    'x-amz-date': '20260102T030405Z',
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102//s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
  },
})

const S1 = signed('GET', '/?transaction', '44c362580173e0ce6738c6698d15bc5dd50905308533bd8520dbd0c91994fd24')

describe('a signature of the Python client', () => {
  test.each<[string, SignedRequest]>([
    ['S1, a bare command', S1],
    ['S2, a body', signed('POST', '/b/s?schema', 'd87d5da7dc4f98b6f330295f27df5a7a0380ac0e6261a96d25107bf63971b87a', vector('C1'))],
    [
      'S3, an escaped value',
      signed(
        'PUT',
        '/b/s/t?table&tabular-new-table-name=s%2Ft2',
        'a53f50f3c03b71fa1a78aa9175259f84a32990002a34b57966df2956b7a23c4e',
        Buffer.from('x'),
      ),
    ],
    [
      'S4, several items',
      signed(
        'GET',
        '/b?delimiter=%2F&list_type=2&max_keys=10&prefix=.snapshot%2F',
        'afb2213c6785cef03234525b5a5d694ff54e4cb301e509384324790ab8c4d6d0',
      ),
    ],
    ['S5, an escaped path', signed('GET', '/b/a%20b?schema', 'e4e74b3097a64c17f8fef4adabf74b19a318b3d869d3041e3fd70b01bf034086')],
  ])('is accepted: %s', (_, request) => {
    expect(() => checkSignature(request, CREDENTIALS, NOW)).not.toThrow()
  })
})

describe('a request is refused', () => {
  test.each<[string, Partial<SignedRequest>, Partial<typeof CREDENTIALS>, number, string]>([
    ['with another method', { method: 'PUT' }, {}, NOW, 'SignatureDoesNotMatch'],
    ['with another query', { url: '/?transaction=1' }, {}, NOW, 'SignatureDoesNotMatch'],
    ['with another path', { url: '/b?transaction' }, {}, NOW, 'SignatureDoesNotMatch'],
    ['with a body that was not signed', { body: Buffer.from('x') }, {}, NOW, 'SignatureDoesNotMatch'],
    ['with another host', { headers: { ...S1.headers, host: 'localhost:9091' } }, {}, NOW, 'SignatureDoesNotMatch'],
    ['with a wrong secret', {}, { secretKey: 'OTHER' }, NOW, 'SignatureDoesNotMatch'],
    ['with an unknown key', {}, { accessKey: 'OTHER' }, NOW, 'InvalidAccessKeyId'],
    ['without a signature', { headers: { host: 'localhost:9090' } }, {}, NOW, 'AccessDenied'],
    ['16 minutes too late', {}, {}, NOW + 16 * 60_000, 'RequestTimeTooSkewed'],
    ['16 minutes too early', {}, {}, NOW - 16 * 60_000, 'RequestTimeTooSkewed'],
    [
      'whose body is not what its header says',
      { headers: { ...S1.headers, 'x-amz-content-sha256': 'ab' } },
      {},
      NOW,
      'XAmzContentSHA256Mismatch',
    ],
  ])('%s', (_, change, credentials, now, code) => {
    expect(() => checkSignature({ ...S1, ...change }, { ...CREDENTIALS, ...credentials }, now)).toThrow(
      expect.objectContaining({ status: 403, code }),
    )
  })
})
