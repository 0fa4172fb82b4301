// An independent tus server for the differential run: prints its address, serves
// files below DIRECTORY until its input ends.
import { Server } from '@tus/server'
import { FileStore } from '@tus/file-store'

const server = new Server({
  path: '/v1/uploads',
  datastore: new FileStore({ directory: process.env.DIRECTORY }),
  maxSize: Number(process.env.MAX_SIZE),
  relativeLocation: true,
})
const listener = server.listen({ host: '127.0.0.1', port: 0 }, () => {
  console.log(`http://127.0.0.1:${listener.address().port}`)
})
process.stdin.resume().on('end', () => process.exit(0))
