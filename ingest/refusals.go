package ingest

import melodyud "github.com/melodyud/melodyud"

// What the state machine refuses. Dialects translate the codes into statuses.
var (
	errUnknown = melodyud.Refuse(melodyud.ErrNotFound, "upload.unknown",
		"There is no such upload. Start a new one.")
	errUnknownTrack = melodyud.Refuse(melodyud.ErrNotFound, "upload.track-unknown",
		"The track to be replaced is not known here. Upload the file as a new track.")
	errGone = melodyud.Refuse(melodyud.ErrNotFound, "upload.gone",
		"This upload has expired or was cancelled. Start a new one.")
	errOffset = melodyud.Refuse(melodyud.ErrConflict, "upload.offset",
		"The upload stands at another offset. Ask for the offset and go on from there.")
	errTooLarge = melodyud.Refuse(melodyud.ErrTooLarge, "upload.too-large",
		"The file is larger than allowed. Send a shorter or compressed (FLAC) version.")
	errOverflow = melodyud.Refuse(melodyud.ErrTooLarge, "upload.overflow",
		"More bytes came than the upload's declared length. Start the upload again with the right length.")
	errEmpty = melodyud.Refuse(melodyud.ErrInvalid, "upload.empty",
		"This file is empty. Choose a file with music in it.")
	errLength = melodyud.Refuse(melodyud.ErrInvalid, "upload.length",
		"The upload's length is missing, malformed or differs from what was declared before.")
	errMetadata = melodyud.Refuse(melodyud.ErrInvalid, "upload.metadata",
		"Upload-Metadata must be a list of different keys, each with a base64 value, separated by commas.")
	errSumForm = melodyud.Refuse(melodyud.ErrInvalid, "upload.checksum-form",
		"Upload-Checksum must name sha1, sha256, md5 or crc32 and give the sum in base64.")
	errSum = melodyud.Refuse(melodyud.ErrInvalid, "upload.checksum",
		"The bytes were changed on the way. They were thrown away: send them again.")
	errConcat = melodyud.Refuse(melodyud.ErrInvalid, "upload.concat",
		"Upload-Concat must be partial, or final; and the addresses of your own partial uploads with spaces between them.")
	errUnfinished = melodyud.Refuse(melodyud.ErrInvalid, "upload.concat-unfinished",
		"One of the partial uploads has not all its bytes yet. Finish it, then join them again.")
	errFinal = melodyud.Refuse(melodyud.ErrForbidden, "upload.final",
		"This upload was joined from partial uploads and takes no further bytes. Start a new one.")
	errElsewhere = melodyud.Refuse(melodyud.ErrForbidden, "upload.elsewhere",
		"The bytes of this upload go straight to the bucket. Send them to the addresses you were given for its parts.")
	errSHA256Form = melodyud.Refuse(melodyud.ErrInvalid, "upload.sha256-form",
		"The SHA-256 of a file is 64 hexadecimal digits. Correct it, or leave it out.")
	errOtherFile = melodyud.Refuse(melodyud.ErrInvalid, "upload.sha256",
		"What arrived is not the file whose SHA-256 you declared. Upload the file again.")
	errTooMany = melodyud.Refuse(melodyud.ErrLimited, "upload.too-many",
		"You have too many unfinished uploads. Finish or cancel some of them first.")
	errBusy = melodyud.Refuse(melodyud.ErrUnavailable, "upload.busy",
		"Too many uploads are running right now. Your upload goes on in a moment.")
	errLocked = melodyud.Refuse(melodyud.ErrConflict, "upload.locked",
		"Another request is still writing this upload. Try again in a few seconds.")
	errTakenOver = melodyud.Refuse(melodyud.ErrConflict, "upload.taken-over",
		"A newer request went on with this upload. What you sent so far was kept.")
	errFull = melodyud.Refuse(melodyud.ErrUnavailable, "upload.storage-full",
		"There is no room left on the server. What you sent so far was kept: go on once the operator has made room.")
	errStopping = melodyud.Refuse(melodyud.ErrUnavailable, "upload.stopping",
		"The server is being restarted. What you sent so far was kept: go on in a moment.")
	errInterrupted = melodyud.Refuse(melodyud.ErrUnavailable, "upload.interrupted",
		"The connection broke off. What arrived was kept: go on from the upload's offset.")
)
