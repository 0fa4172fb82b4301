//go:build linux

// Command cable is a network cable with a round trip of its own, for machines whose
// kernel has no netem: two TUN devices, and every packet that enters one leaves the
// other half a round trip later, in order and none lost. It needs root.
//
//	cable left right 50ms
//
// A new round trip is read from standard input, a line each; it ends with it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cable:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 3 {
		return errors.New("give the names of two devices and a round trip, such as 50ms")
	}
	var half atomic.Int64
	set := func(text string) error {
		d, err := time.ParseDuration(text)
		half.Store(int64(d / 2))
		return err
	}
	if err := set(args[2]); err != nil {
		return err
	}
	left, err := open(args[0])
	if err != nil {
		return err
	}
	right, err := open(args[1])
	if err != nil {
		return err
	}
	go carry(left, right, &half)
	go carry(right, left, &half)
	fmt.Fprintln(out, "ready")
	for lines := bufio.NewScanner(in); lines.Scan(); fmt.Fprintln(out, "ready") {
		if err := set(lines.Text()); err != nil {
			return err
		}
	}
	return nil
}

// open makes a TUN device; it goes with the process.
func open(name string) (int, error) {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("open TUN: %w", err)
	}
	var request [40]byte // struct ifreq: the name, then the flags
	copy(request[:15], name)
	*(*uint16)(unsafe.Pointer(&request[16])) = syscall.IFF_TUN | syscall.IFF_NO_PI
	if _, _, no := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request))); no != 0 {
		return 0, fmt.Errorf("make device %s: %w", name, no)
	}
	return fd, nil
}

type packet struct {
	due  time.Time
	data []byte
}

// carry brings packets from one end to the other until an end is gone.
func carry(from, to int, half *atomic.Int64) {
	queue := make(chan packet, 1<<14)
	go func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = syscall.Write(to, p.data) // a device that is down loses packets, as cables do.
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := syscall.Read(from, buffer)
		if err != nil {
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			return
		}
		queue <- packet{time.Now().Add(time.Duration(half.Load())), append([]byte(nil), buffer[:n]...)}
	}
}
