package flac

// CRC8 is the checksum of frame headers.
var CRC8 = crc8
