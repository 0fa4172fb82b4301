package cat_test

import (
	"crypto/hmac"
	"crypto/sha256"
)

func hmacSum(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil)
}
