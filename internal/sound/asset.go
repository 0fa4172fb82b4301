package sound

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// asset is what an operation answers with: bytes that never change under their tag.
type asset struct {
	contentType string
	tag         string // ETag, without quotes; strong
	vary        string // header that chose between assets, if one did
	size        int64
	body        io.ReadCloser
}

const assetCache = "private, max-age=300"

// answer streams a, or says that the client has it: ifNoneMatch is the request's
// header (RFC 9110 section 13.1.2). It closes a's body.
func (a asset) answer(ifNoneMatch string) *huma.StreamResponse {
	tag := `"` + a.tag + `"`
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer a.body.Close()
		ctx.SetHeader("ETag", tag)
		ctx.SetHeader("Cache-Control", assetCache)
		if a.vary != "" {
			ctx.SetHeader("Vary", a.vary)
		}
		if matches(ifNoneMatch, tag) {
			ctx.SetStatus(http.StatusNotModified)
			return
		}
		ctx.SetHeader("Content-Type", a.contentType)
		ctx.SetHeader("Content-Length", fmt.Sprint(a.size))
		ctx.SetHeader("Content-Security-Policy", "default-src 'none'; sandbox") // a picture may be a trap
		ctx.SetHeader("X-Content-Type-Options", "nosniff")
		ctx.SetStatus(http.StatusOK)
		_, _ = io.Copy(ctx.BodyWriter(), a.body) // a short body shows the client that it failed
	}}
}

// matches reports whether a list of entity tags has tag in it, by weak comparison.
func matches(list, tag string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(one string) bool {
		one = strings.TrimSpace(one)
		return one == "*" || strings.TrimPrefix(one, "W/") == tag
	})
}

// made is the asset of bytes that were made just now.
func made(contentType, tag string, content []byte) asset {
	return asset{contentType: contentType, tag: tag, size: int64(len(content)), body: io.NopCloser(strings.NewReader(string(content)))}
}

// bytesOf documents an answer of bytes.
func bytesOf(description string, types ...string) map[string]*huma.Response {
	content := map[string]*huma.MediaType{}
	for _, t := range types {
		content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	return map[string]*huma.Response{"200": {Description: description, Content: content}, "304": notModified()}
}

func notModified() *huma.Response {
	return &huma.Response{Description: "What the client has is the same: see If-None-Match."}
}
