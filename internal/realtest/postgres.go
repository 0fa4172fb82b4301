package realtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

var sharedPostgres shared[*postgresServer]

// Postgres returns the URL of an empty database of the caller's own. The server
// is shared by the tests of one program, or is the one that
// MELODYUD_TEST_POSTGRES names, as a role that may create databases.
func Postgres(t testing.TB) string {
	t.Helper()
	if server := os.Getenv("MELODYUD_TEST_POSTGRES"); server != "" {
		url, drop := freshDatabase(t, server)
		t.Cleanup(drop)
		return url
	}
	bin := postgresPrograms(t)
	s := sharedPostgres.use(t, func() (*postgresServer, error) { return newPostgres(bin) })
	url, _ := freshDatabase(t, s.url())
	return url
}

// PostgresServer is a PostgreSQL that a test may hurt. It keeps port and data.
type PostgresServer struct {
	URL string

	t testing.TB
	s *postgresServer
}

// StartPostgres starts a PostgreSQL of the test's own with one empty database;
// MELODYUD_TEST_POSTGRES does not matter.
func StartPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	s, err := newPostgres(postgresPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	url, _ := freshDatabase(t, s.url())
	return &PostgresServer{URL: url, t: t, s: s}
}

// Stop shuts the server down and cuts every connection.
func (p *PostgresServer) Stop() { p.s.p.stop(syscall.SIGINT) }

// Kill ends the server at once; it recovers from its log at Start.
func (p *PostgresServer) Kill() { p.s.p.stop(syscall.SIGQUIT) }

// Start brings a stopped server back on the same port.
func (p *PostgresServer) Start() {
	p.t.Helper()
	if err := p.s.p.start(); err != nil {
		p.t.Fatal(err)
	}
}

type postgresServer struct{ p *process }

// newPostgres makes a cluster and starts its server. PostgreSQL refuses root,
// so root starts it as somebody else, who must own the directory.
func newPostgres(bin string) (*postgresServer, error) {
	dir, err := os.MkdirTemp("", "melodyud-postgres-")
	if err != nil {
		return nil, err
	}
	s := &postgresServer{p: &process{name: "postgres", dir: dir, quit: syscall.SIGQUIT, ready: pingPostgres,
		args: func(port int) []string {
			return []string{bin + "/postgres", "-D", dir + "/data", "-p", strconv.Itoa(port), "-F",
				"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
				"-c", "full_page_writes=off", // no power is cut here
				"-c", "max_connections=200", "-c", "shared_buffers=32MB"}
		}}}
	if err := s.prepare(bin); err != nil {
		return nil, fmt.Errorf("%w (%v)", err, os.RemoveAll(dir))
	}
	if err := s.p.begin(); err != nil {
		return nil, fmt.Errorf("%w (%v)", err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *postgresServer) prepare(bin string) error {
	if os.Getuid() == 0 {
		cred, err := somebody()
		if err != nil {
			return err
		}
		s.p.cred = cred
		if err := os.Chown(s.p.dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return err
		}
	}
	c := exec.Command(bin+"/initdb", "-D", s.p.dir+"/data", "-U", "melodyud", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	c.Dir = s.p.dir
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.p.cred}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *postgresServer) close() {
	s.p.stop(syscall.SIGQUIT)
	_ = os.RemoveAll(s.p.dir)
}

func (s *postgresServer) url() string { return postgresURL(s.p.port) }

// freshDatabase makes a database on the server. To drop it is worth the time only
// where the server lives on.
func freshDatabase(t testing.TB, server string) (database string, drop func()) {
	t.Helper()
	name := "t" + strings.ToLower(rand.Text())
	if err := execute(server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database: %v", err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String(), func() {
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	}
}

func execute(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

func pingPostgres(ctx context.Context, port int) error {
	c, err := pgx.Connect(ctx, postgresURL(port))
	if err != nil {
		return err
	}
	return c.Close(ctx)
}

func postgresURL(port int) string {
	return "postgres://melodyud@" + host(port) + "/postgres?sslmode=disable"
}

func somebody() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("postgres refuses root and there is neither a user postgres nor nobody")
}

// postgresPrograms returns the directory of initdb and postgres.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		missing(t, "postgresql is not installed")
	}
	return filepath.Dir(slices.Max(found))
}
