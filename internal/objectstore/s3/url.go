package s3

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	melodyud "github.com/melodyud/melodyud"
)

// address is what the URL says. Printed, it shows no secret.
type address struct {
	host, bucket, region  string
	access, secret, token string
	tls                   bool
	lookup                minio.BucketLookupType
	public                *url.URL // where others reach the server; nil: at host
}

func (a address) String() string { return "s3://" + a.host + "/" + a.bucket }

// parse reads the URL. Its errors never quote it: it holds the secret.
func parse(raw string, env func(string) string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "s3" {
		return address{}, malformed("want s3://ACCESS:SECRET@host:port/bucket, with access and secret percent-encoded")
	}
	a := address{host: u.Host, bucket: strings.Trim(u.Path, "/"), tls: true}
	if a.host == "" || a.bucket == "" || strings.Contains(a.bucket, "/") {
		return address{}, malformed("it needs a host and one bucket: s3://host:port/bucket")
	}
	a.access = u.User.Username()
	a.secret, _ = u.User.Password()
	if a.access == "" && a.secret == "" {
		a.access, a.secret, a.token = env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY"), env("AWS_SESSION_TOKEN")
	}
	if a.access == "" || a.secret == "" {
		return address{}, malformed("it names no access key and secret, nor do AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, malformed("what follows ? cannot be read")
	}
	return a, a.options(query)
}

func (a *address) options(query url.Values) error {
	for name, values := range query {
		if err := a.option(name, values[len(values)-1]); err != nil {
			return err
		}
	}
	return nil
}

func (a *address) option(name, value string) (err error) {
	switch name {
	case "tls":
		if a.tls, err = strconv.ParseBool(value); err != nil {
			return malformed("tls is true or false")
		}
	case "region":
		a.region = value
	case "token":
		a.token = value
	case "public":
		a.public, err = url.Parse(value)
		if err != nil || a.public.Host == "" || strings.Trim(a.public.Path, "/") != "" || a.public.Scheme != "http" && a.public.Scheme != "https" {
			return malformed("public is the address others reach the server at, like https://s3.example.org")
		}
	case "lookup":
		lookups := map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "dns": minio.BucketLookupDNS}
		if a.lookup = lookups[value]; a.lookup == minio.BucketLookupAuto {
			return malformed("lookup is path or dns")
		}
	default:
		return malformed(fmt.Sprintf("unknown option %q: it takes tls, region, lookup, token and public", name))
	}
	return nil
}

func malformed(why string) error {
	return fmt.Errorf("%w: URL of the object store: %s", melodyud.ErrInvalid, why)
}
