import { mediaContract } from '../../contract/media.ts'
import { mediaServer } from './media-server.ts'

mediaContract('The disk engine', mediaServer)
