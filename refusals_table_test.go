package melodyud_test

// subjects are the titles of the page's sections, by what codes begin with.
var subjects = map[string]string{
	"ad": "House ads", "album": "Albums", "audio": "The sound of an upload", "auth": "Signing in and keys", "direct": "Uploads straight to the bucket", "inbox": "Files dropped into the inbox", "events": "Live news", "features": "What was heard", "file": "Files for our tools",
	"key": "Making keys", "offline": "Listening offline", "page": "Lists", "playback": "Playing", "playlist": "Playlists", "plays": "Counting plays", "quota": "Quotas", "reanalysis": "Listening again", "release": "Releases",
	"request": "Any request", "telemetry": "Telling what was heard (for makers of players)", "ticket": "Playback links", "track": "Tracks", "tus": "The upload protocol (for makers of clients)",
	"upload": "Uploads",
}

const refusalsHead = `<!-- Made by "go test . -run Refusal -update" of the source and of whatToDo in refusals_table_test.go. Do not edit. -->
# Refusals

Whatever is refused has a code that stays the same, for programs, and a sentence for people. The API sends both as a
problem (RFC 9457, members ` + "`code` and `detail`" + `) with the status below; a track that was refused after its upload has them in
` + "`refusal`" + `, and ` + "`melodyud probe`" + ` prints them before anything is sent. "…" stands for what is filled in.

Anything else that goes wrong is our fault: status 500, code ` + "`internal`" + ` and an incident number to quote to the operator.
`

// whatToDo is the table of refusals: for each code what its reader can do. The
// sentence itself stands beside the code in the source; docs/refusals.md is made
// of both.
var whatToDo = map[string]string{
	"ad.not-found": "`melodyud ads` lists them by the ids of their tracks.",
	"ad.too-long":  "Cut it to 90 seconds or less and upload it again.",
	"ad.too-many":  "Remove one with `melodyud ads remove`.",
	"ad.weight":    "1 is as often as any other; 10 is ten times as often.",

	"album.not-found": "Open the list of albums; publish a track of the album if it is yours.",

	"audio.bad-depth":         "Export at 16 or 24 bits, integer.",
	"audio.bad-rate":          "Export at 44.1 or 48 kHz. The operator sets the range with `--min-rate` and `--max-rate`.",
	"audio.bad-samples":       "The file holds NaN, infinite or absurdly loud samples, mostly after a plug-in broke. Bypass it, or export as 24-bit integer.",
	"audio.changes-format":    "Files were glued together. Open it in an editor and export it as one piece, or upload the parts.",
	"audio.damaged":           "Export it again; if the file was copied or downloaded, take it from the source anew. Checksums of FLAC are compared: `flac -t` shows the same.",
	"audio.needs-converter":   "Export in one of the formats named. The operator can install ffmpeg, which decodes the others (`--ffmpeg`).",
	"audio.no-sound-data":     "The file has tags or headers only. Check that it plays, then export it again.",
	"audio.too-complex":       "Export it again with another program: decoding hit the limit of memory or time. Tell the operator if it plays elsewhere.",
	"audio.too-long":          "Split it into parts. The operator sets the limit with `--max-duration`.",
	"audio.too-many-channels": "Mix down to stereo. The operator sets the limit with `--max-channels`.",
	"audio.too-short":         "Check that all of it was exported. The operator sets the limit with `--min-duration`.",
	"audio.truncated":         "The copy or the export was cut off. Copy or export it again and compare the sizes.",
	"audio.unknown-format":    "Export in one of the formats named. Its name does not matter: content decides, and this is no sound, or an exotic kind.",

	"auth.cross-origin": "Open the studio's own address and do it there.",
	"auth.key":          "Sign in again, or ask the operator for a new key.",
	"auth.missing":      "Send the header `Authorization: Bearer <key>`, or sign in on the page.",
	"auth.role":         "Ask the operator for a key with the role that this needs.",
	"auth.too-many":     "Wait for the time in `Retry-After`, then try the right key.",

	"direct.completed": "Nothing: look at /v1/uploads/{id} for what becomes of it.",
	"direct.etag":      "List the parts with `GET /v1/direct/{id}` and use the ETags told there, or send the part again.",
	"direct.lost":      "Start a new upload. Operators: nothing but this server may delete in the bucket of `--direct`.",
	"direct.missing":   "Send the parts named; `GET /v1/direct/{id}` lists what is there.",
	"direct.number":    "The first part is 1; `part_count` tells the last.",
	"direct.off":       "Upload by tus, or ask the operator for `--direct`.",
	"direct.other-way": "Use the upload's own address.",
	"direct.part-size": "Send the part again, with exactly the bytes of its place in the file.",
	"direct.parts":     "Name every part once.",

	"events.limit":     "Close windows of the studio that you do not need.",
	"features.not-yet": "The operator has older tracks listened to with `melodyud reanalyze`.",

	"file.not-mp4": "Give a file that begins with an MP4 box.",

	"inbox.aside":           "Nothing. Only music is taken; pictures belong into the music files.",
	"inbox.behind":          "Wait: other files of yours are taken first.",
	"inbox.cancelled":       "Remove the file, or write it again.",
	"inbox.creator":         "Rename the folder to your user id; `GET /v1/me` and the operator's list of keys tell it.",
	"inbox.metadata":        "Correct the CSV or JSON file named, or remove it.",
	"inbox.metadata-moving": "Wait a moment.",
	"inbox.metadata-size":   "Split the CSV file up, one for each folder.",
	"inbox.name":            "Rename the file.",
	"inbox.replaced":        "Nothing, if you replaced or removed the file yourself.",
	"inbox.settling":        "Wait. If it stays so, a program keeps writing the file: close it.",

	"key.name":    "Choose a shorter name, or any at all.",
	"key.roles":   "Name at least one of creator, listener, ops.",
	"key.tier":    "Choose free or premium.",
	"key.unknown": "List the keys and take the id from there.",

	"offline.damaged":      "Fetch the track again on this device.",
	"offline.device":       "Use letters, digits, dashes and underscores.",
	"offline.form":         "Update the program, or fetch the track again.",
	"offline.key-retired":  "Fetch the track again without `key_id`.",
	"offline.not-offered":  "Stream the track instead.",
	"offline.premium-only": "Change to the premium plan.",
	"offline.rendition":    "Leave `rendition` out, or name one of the track's.",

	"page.cursor": "Begin the list again without `cursor`.",

	"playback.country-unknown":   "Nothing to do as a listener; the operator can give the edge a database of countries (`--geo-db`).",
	"playback.elsewhere":         "Press play on the device where you want to listen. The operator sets how many play at once with `--streams-free` and `--streams-premium`.",
	"playback.no-common-quality": "Play the tracks one by one.",
	"playback.no-encryption":     "Ask without `encrypt`; the operator turns encryption on with keys.",
	"playback.no-renewal":        "Ask for playback anew.",
	"playback.not-found":         "Ask the API for a new playback link; the track may have been withdrawn.",
	"playback.premium-only":      "Play one of the AAC qualities, or change to the premium plan.",
	"playback.revoked":           "Ask for playback anew, if you still may listen; the operator can tell why it ended.",
	"playback.signed-out":        "Sign in again.",
	"playback.territory":         "Nothing to do: the creator decides where a track plays.",
	"playback.too-fast":          "Wait for `Retry-After`; players do so by themselves. The operator sets the rates with `--rate-free` and `--rate-stranger`.",
	"playback.too-many-streams":  "Stop the music on another device; it counts no more soon after. The operator sets how many play at once with `--streams-free` and `--streams-premium`.",
	"playback.unavailable":       "Try again after `Retry-After`; players do so by themselves.",
	"playback.withdrawn":         "Nothing: the creator took the track away.",
	"playlist.length":            "Choose 1 to 100 tracks.",

	"plays.too-many-tracks": "Ask in parts of 100 tracks.",

	"quota.bytes":   "Withdraw tracks you no longer need, or ask the operator for more room.",
	"quota.hours":   "Withdraw tracks you no longer need, or ask the operator for more hours.",
	"quota.uploads": "Go on after the time told.",

	"reanalysis.not-found": "List them with `melodyud reanalyze --status`.",
	"reanalysis.where":     "Write one of the conditions, such as `--where \"analyzer_version < 5\"`.",

	"revocation.name": "Copy the name as the answer, the fact or the list has it.",
	"revocation.what": "Send one member besides `reason`.",

	"release.not-found":     "Open the track's list of releases.",
	"track.busy":            "Wait until the track is published, or its replacement is.",
	"track.not-replaceable": "Upload it as a new track, or wait until the track is published.",

	"conflict":           "Load it again, then repeat the change.",
	"forbidden":          "Ask the operator for a key that may do it.",
	"invalid":            "Compare the request with the API's description at `/openapi.json`.",
	"limited":            "Wait for the time in `Retry-After`.",
	"method-not-allowed": "Use one of the methods in the header `Allow`.",
	"not-found":          "Check the address.",
	"request.invalid":    "Correct what the member `errors` names.",
	"request.too-fast":   "Wait for `Retry-After`, then ask less often. The operator sets the rate with `--rate-api`.",
	"too-large":          "Send less at once.",
	"unauthenticated":    "Send a key, or sign in.",
	"unavailable":        "Try again after `Retry-After`.",

	"territory.both": "Send `only` or `except`, not both.",
	"territory.code": "Write ISO 3166-1 codes of two letters.",

	"telemetry.busy":        "Send it again after `Retry-After`; the page does so by itself.",
	"telemetry.invalid":     "See *Telling what was heard* in the guide. Sending it again changes nothing.",
	"telemetry.release":     "Send it to the `events` beside the playlist that the track is played from.",
	"telemetry.too-large":   "Send at most 200 events and 64 KB at a time.",
	"telemetry.too-often":   "Send it again after `Retry-After`; gather what happens for some seconds.",
	"telemetry.unavailable": "Send it again after `Retry-After`; what is told twice counts once.",

	"ticket.expired": "Ask the API for a new playback link.",
	"ticket.invalid": "Ask the API for a new playback link, and keep it whole when copying.",

	"ticket-key.fixed":   "Change `MELODYUD_TICKET_KEYS`, or leave it out to keep keys in the database.",
	"ticket-key.in-use":  "Wait until the time in `until`, or retire it with `now`.",
	"ticket-key.many":    "Retire keys that are no longer in use.",
	"ticket-key.signing": "Rotate first.",
	"ticket-key.unknown": "List them with `melodyud keys`.",

	"token.busy":     "Try again after `Retry-After`.",
	"token.expired":  "Ask the token's issuer for a new one.",
	"token.invalid":  "Ask the token's issuer; the operator's log says what is wrong with it.",
	"token.missing":  "Send the token with every request.",
	"token.not-yet":  "Wait, or correct the clock of whoever issued it.",
	"token.place":    "Nothing to do: the token is for other networks or countries.",
	"token.replayed": "Use each token once, and the one that came with the answer next.",
	"token.scope":    "Ask the token's issuer for one that opens this address.",

	"track.no-picture":        "Put a cover into the file's tags and upload it again.",
	"track.not-found":         "Open your list of tracks.",
	"track.not-published":     "Wait until the track is published.",
	"track.not-retryable":     "Nothing: the track is done, or being worked on.",
	"track.number":            "Write a number from 1 to 9999, or 0 for none.",
	"track.preview-start":     "Choose a start in the range told, or -1.",
	"track.preview-too-early": "Wait until the track is published.",
	"track.title":             "Write a title.",
	"track.withdrawn":         "Upload it anew: a withdrawn track stays withdrawn.",

	"resumable.content-type": "Send `application/partial-upload`.",
	"resumable.digest":       "Write the digest as RFC 9530 says, or leave it out.",
	"resumable.headers":      "Send both headers with every PATCH.",

	"tus.content-type": "Send the media type of the protocol.",
	"tus.method":       "Override with one of the three methods.",
	"tus.offset":       "Send the offset that HEAD has told.",
	"tus.version":      "Send `Tus-Resumable: 1.0.0`.",

	"upload.busy":              "Wait for `Retry-After`; clients of tus do so by themselves.",
	"upload.checksum":          "Send the same chunk again.",
	"upload.checksum-form":     "Send one of the algorithms of `Tus-Checksum-Algorithm`.",
	"upload.concat":            "Write `partial`, or `final;` and the partial uploads' addresses.",
	"upload.concat-unfinished": "Finish the partial uploads first.",
	"upload.damaged":           "Upload the file again.",
	"upload.track-unknown":     "Upload the file as a new track, without the key `replaces`.",
	"upload.duplicate":         "Keep the track you have; or send the key `duplicates` with `keep` in Upload-Metadata, or decide at `POST /v1/uploads/{id}/decision`.",
	"upload.elsewhere":         "Ask for the addresses of its parts (`POST /v1/direct/{id}/parts`), or start another upload by tus.",
	"upload.empty":             "Choose another file, or export it again.",
	"upload.final":             "Start a new upload.",
	"upload.gone":              "Start a new upload.",
	"upload.interrupted":       "Ask for the offset with HEAD and go on from there.",
	"upload.length":            "Send `Upload-Length` as a number of bytes, once.",
	"upload.locked":            "Try again after a few seconds.",
	"upload.metadata":          "Correct the header as the protocol says.",
	"upload.offset":            "Ask for the offset with HEAD and go on from there.",
	"upload.overflow":          "Start again with the file's real length.",
	"upload.sha256":            "The file changed while it was sent, or another one was. Compare `sha256sum` with what was declared.",
	"upload.sha256-form":       "Correct the SHA-256, or leave it out.",
	"upload.storage-full":      "Go on once the operator has made room; what is stored stays.",
	"upload.stopping":          "Go on in a moment; nothing was lost.",
	"upload.taken-over":        "Let the newer request finish.",
	"upload.too-large":         "Send FLAC instead of WAV, or split it. The operator sets the limit with `--max-upload`.",
	"upload.too-many":          "Finish or cancel unfinished uploads.",
	"upload.undecidable":       "Look at the upload: it is being handed over, or it never was a duplicate.",
	"upload.unknown":           "Start a new upload.",
}
