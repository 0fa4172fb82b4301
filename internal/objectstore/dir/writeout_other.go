//go:build !linux

package dir

import "os"

func startWriting(*os.File, int64, int64) {}
