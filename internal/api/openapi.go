package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

const problemType = "application/problem+json"

// documentProblems names our Problem where huma would name its own error type.
func documentProblems(doc *huma.OpenAPI, op *huma.Operation) {
	schema := doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	for _, response := range op.Responses {
		if media, ok := response.Content[problemType]; ok {
			media.Schema = schema
		}
	}
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
}

func (r *Router) registerDocs() error {
	page, err := template.New("docs").Parse(docsHTML)
	if err != nil {
		return fmt.Errorf("parse docs page: %w", err)
	}
	r.Mux.HandleFunc("GET /openapi.json", r.serveSpec)
	r.Mux.HandleFunc("GET /docs", func(w http.ResponseWriter, req *http.Request) { r.serveDocs(w, req, page) })
	return nil
}

func (r *Router) serveSpec(w http.ResponseWriter, req *http.Request) {
	body, err := r.spec()
	if err != nil {
		WriteProblem(w, req, err)
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(body)
}

func (r *Router) serveDocs(w http.ResponseWriter, req *http.Request, page *template.Template) {
	var out bytes.Buffer
	if err := page.Execute(&out, r.docs()); err != nil {
		WriteProblem(w, req, fmt.Errorf("render docs: %w", err))
		return
	}
	sum := sha256.Sum256([]byte(docsCSS))
	w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; "+
		"frame-ancestors 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes())
}

// docsPage is what docs.html shows: no script runs on it.
type docsPage struct {
	Title, Version string
	CSS            template.CSS
	Operations     []docsOperation
	Schemas        []docsSchema
}

type docsOperation struct {
	Method, Path, Summary, Description string
	Parameters                         []*huma.Param
	Request                            string
	Responses                          []docsResponse
}

type docsResponse struct{ Status, Description, Schema string }

type docsSchema struct{ Name, JSON string }

func (r *Router) docs() docsPage {
	doc := r.API.OpenAPI()
	page := docsPage{Title: doc.Info.Title, Version: doc.Info.Version, CSS: template.CSS(docsCSS)} //nolint:gosec // our own embedded file
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Head, item.Post, item.Put, item.Patch, item.Delete, item.Options} {
			if op != nil {
				page.Operations = append(page.Operations, describe(op))
			}
		}
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		text, _ := json.MarshalIndent(schemas[name], "", "  ") // the same values already made /openapi.json
		page.Schemas = append(page.Schemas, docsSchema{Name: name, JSON: string(text)})
	}
	return page
}

func describe(op *huma.Operation) docsOperation {
	d := docsOperation{
		Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description, Parameters: op.Parameters,
	}
	if op.RequestBody != nil {
		d.Request = mediaSchema(op.RequestBody.Content)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		response := op.Responses[status]
		d.Responses = append(d.Responses, docsResponse{status, response.Description, mediaSchema(response.Content)})
	}
	return d
}

// mediaSchema names the schemas of a body: "application/json Track".
func mediaSchema(content map[string]*huma.MediaType) string {
	var all []string
	for _, media := range slices.Sorted(maps.Keys(content)) {
		one := media
		if s := content[media].Schema; s != nil && s.Ref != "" {
			one += " " + s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}
