// Package api holds the HTTP conventions every service follows: who is asking
// (Principal), how errors look (RFC 9457 problems), and the chain around every
// request: security headers, request id, recovery, access log, metrics and
// protection against requests forged by other sites.
//
// Services register huma operations on Router.API, which validates them and
// documents them as OpenAPI 3.1, or plain handlers on Router.Mux.
package api
