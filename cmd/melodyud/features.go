package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

type featuresCmd struct {
	Export exportCmd `cmd:"" help:"Write the features of all published tracks as a Parquet file."`
}

type exportCmd struct {
	remote
	Out string `required:"" type:"path" placeholder:"FILE.parquet" help:"File to write. It is replaced when whole."`
}

func (cmd exportCmd) Run(ctx context.Context, s std) error {
	c, err := cmd.client()
	if err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodGet, c.base.JoinPath("/v1/ops/features.parquet").String(), nil)
	if err != nil {
		return err
	}
	res, err := c.do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := writeWhole(cmd.Out, res.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: %.1f kB\n", cmd.Out, float64(n)/1000)
	return err
}

// writeWhole writes r to a file that appears under its name only once it is whole.
func writeWhole(path string, r io.Reader) (n int64, err error) {
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(f, r)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = os.Remove(part) // the error that led here says more
		return 0, err
	}
	return n, os.Rename(part, path)
}
