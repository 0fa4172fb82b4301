// Uploads to ENDPOINT with tus-js-client in every way a creator's program might,
// and prints one JSON line for each: {name, track, sha256} or {name, error}.
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import * as tus from 'tus-js-client'

const endpoint = process.env.ENDPOINT
const headers = { Authorization: `Bearer ${process.env.KEY}` }
const MiB = 1024 * 1024

const say = (line) => console.log(JSON.stringify(line))
const sha256 = (data) => createHash('sha256').update(data).digest('hex')

// storage remembers addresses as a browser would.
function storage() {
  const all = new Map()
  let n = 0
  return {
    findAllUploads: async () => [...all.values()],
    findUploadsByFingerprint: async (print) => [...all.entries()].filter(([key]) => key.startsWith(print)).map(([urlStorageKey, v]) => ({ ...v, urlStorageKey })),
    removeUpload: async (key) => { all.delete(key) },
    addUpload: async (print, v) => { const key = `${print}::${n++}`; all.set(key, v); return key },
  }
}

function upload(data, options, onStart = () => {}, previous = undefined) {
  return new Promise((resolve, reject) => {
    let track
    const u = new tus.Upload(data, {
      endpoint,
      headers,
      retryDelays: [0, 100, 500],
      onAfterResponse: (_, res) => { track = res.getHeader('Melodyud-Track') ?? track },
      onError: reject,
      onSuccess: () => resolve({ track, url: u.url }),
      ...options,
    })
    if (previous) u.resumeFromPreviousUpload(previous)
    u.start()
    onStart(u, reject)
  })
}

const cases = {
  async 'one large request'() {
    const data = randomBytes(50_000_000)
    return { ...await upload(data, {}), sha256: sha256(data) }
  },
  async 'many small chunks'() {
    const data = randomBytes(MiB + 12345)
    return { ...await upload(data, { chunkSize: 100_000 }), sha256: sha256(data) }
  },
  async 'stream of deferred length'() {
    const data = randomBytes(45 * MiB + 1)
    const options = { uploadLengthDeferred: true, chunkSize: 20 * MiB }
    return { ...await upload(Readable.from([data.subarray(0, 5), data.subarray(5)]), options), sha256: sha256(data) }
  },
  async 'four pieces at once'() {
    const data = randomBytes(30 * MiB + 3)
    const metadata = { filename: 'słońce.flac', title: 'słońce' }
    return { ...await upload(data, { parallelUploads: 4, metadata }), sha256: sha256(data), title: 'słońce' }
  },
  async 'more pieces than bytes'() {
    const data = randomBytes(3)
    return { ...await upload(data, { parallelUploads: 4 }), sha256: sha256(data) }
  },
  async 'pieces aborted and resumed'() {
    const data = randomBytes(12 * MiB)
    const options = { endpoint, headers, parallelUploads: 3, chunkSize: MiB, urlStorage: storage(), storeFingerprintForResuming: true,
      fingerprint: async () => 'the file', metadata: { title: 'resumed' } }
    await new Promise((resolve, reject) => {
      let chunks = 0
      const first = new tus.Upload(data, {
        ...options, onError: reject,
        onChunkComplete: async () => { if (++chunks === 5) { await first.abort(); resolve() } },
      })
      first.start()
    })
    const previous = await new tus.Upload(data, options).findPreviousUploads()
    const result = await upload(data, options, undefined, previous[0])
    return { ...result, sha256: sha256(data), title: 'resumed' }
  },
  async 'creation with upload'() {
    const data = randomBytes(3 * MiB)
    return { ...await upload(data, { uploadDataDuringCreation: true }), sha256: sha256(data) }
  },
  async 'method override'() {
    const data = randomBytes(1000)
    return { ...await upload(data, { overridePatchMethod: true }), sha256: sha256(data) }
  },
  async 'words beyond ASCII'() {
    const data = randomBytes(1000)
    const metadata = { filename: 'słońce 🎵.flac', title: 'słońce', filetype: 'audio/flac' }
    return { ...await upload(data, { metadata }), sha256: sha256(data), title: 'słońce' }
  },
  async 'abort and resume'() {
    const data = randomBytes(6 * MiB)
    let first
    const url = await new Promise((resolve, reject) => {
      first = new tus.Upload(data, {
        endpoint, headers, chunkSize: MiB, onError: reject,
        onChunkComplete: async (_, accepted) => {
          if (accepted >= 2 * MiB) { await first.abort(); resolve(first.url) }
        },
      })
      first.start()
    })
    return { ...await upload(data, { uploadUrl: url }), sha256: sha256(data) }
  },
  async 'terminate'() {
    const data = randomBytes(4 * MiB)
    const u = new tus.Upload(data, { endpoint, headers, chunkSize: MiB, onError: () => {} })
    await new Promise((resolve) => {
      u.options.onChunkComplete = async () => { await u.abort(true); resolve() }
      u.start()
    })
    const res = await fetch(u.url, { method: 'HEAD', headers: { ...headers, 'Tus-Resumable': '1.0.0' } })
    return { status: res.status }
  },
  async 'empty file'() {
    return upload(Buffer.alloc(0), {})
  },
}

for (const protocol of ['ietf-draft-03', 'ietf-draft-05']) {
  const draft = { endpoint: process.env.DRAFT_ENDPOINT, protocol }
  cases[`${protocol}: one request`] = async () => {
    const data = randomBytes(9 * MiB)
    return { ...await upload(data, draft), sha256: sha256(data) }
  }
  cases[`${protocol}: chunks and words beyond ASCII`] = async () => {
    const data = randomBytes(3 * MiB + 1)
    return { ...await upload(data, { ...draft, chunkSize: MiB, metadata: { title: 'słońce' } }), sha256: sha256(data), title: 'słońce' }
  }
  cases[`${protocol}: creation with upload`] = async () => {
    const data = randomBytes(MiB)
    return { ...await upload(data, { ...draft, uploadDataDuringCreation: true }), sha256: sha256(data) }
  }
  cases[`${protocol}: abort and resume`] = async () => {
    const data = randomBytes(4 * MiB)
    const url = await new Promise((resolve, reject) => {
      const first = new tus.Upload(data, {
        ...draft, headers, chunkSize: MiB, onError: reject,
        onChunkComplete: async (_, accepted) => {
          if (accepted >= 2 * MiB) { await first.abort(); resolve(first.url) }
        },
      })
      first.start()
    })
    return { ...await upload(data, { ...draft, uploadUrl: url }), sha256: sha256(data) }
  }
}

for (const [name, run] of Object.entries(cases)) {
  try {
    say({ name, ...await run() })
  } catch (error) {
    say({ name, error: String(error?.message ?? error) })
  }
}
