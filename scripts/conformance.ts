import path from 'node:path'
import { conformanceReport, reportFile } from '../test/conformance/report.ts'
import { allTaggedTests, root } from '../test/conformance/tags.ts'

await Bun.write(path.join(root, reportFile), conformanceReport(allTaggedTests()))
