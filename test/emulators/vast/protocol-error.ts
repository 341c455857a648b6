/** An answer other than 200: status and code as the protocol names them, and a message for whoever reads the client's log. */
export class ProtocolError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProtocolError'
    this.status = status
    this.code = code
  }
}

export const badRequest = (message: string, code = 'InvalidArgument'): ProtocolError => new ProtocolError(400, code, message)
export const notFound = (message: string, code = 'NoSuchKey'): ProtocolError => new ProtocolError(404, code, message)
export const conflict = (message: string, code = 'TabularTransactionConflict'): ProtocolError => new ProtocolError(409, code, message)
export const notEmulated = (what: string): ProtocolError =>
  new ProtocolError(501, 'NotImplemented', `${what}: this emulator does not do that`)
