package decode

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unwanted are the system calls that open ways out which Landlock does not watch:
// datagrams, local sockets, and other processes' memory.
var unwanted = []uint32{
	unix.SYS_SOCKET, unix.SYS_IO_URING_SETUP, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
}

// arches are the architectures whose calls the filter knows, by Go's names.
var arches = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// Offsets in the kernel's struct seccomp_data.
const (
	callNumber = 0
	callArch   = 4
	x32Calls   = 0x40000000 // amd64's second set of numbers begins here
)

// forbidCalls lets all unwanted calls of this process, and of those it starts, fail
// with EACCES. It needs no_new_privs. A kernel without seccomp is left as it is.
func forbidCalls() error {
	arch, ok := arches[runtime.GOARCH]
	if !ok {
		return nil
	}
	filter := callFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 && errno != unix.ENOSYS {
		return fmt.Errorf("forbid system calls: %w", errno)
	}
	return nil
}

// callFilter is the program that judges every call.
func callFilter(arch uint32) []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		answer  = unix.BPF_RET | unix.BPF_K
		deny    = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
	)
	filter := []unix.SockFilter{
		{Code: load, K: callArch},
		{Code: equal, K: arch, Jt: 1},
		{Code: answer, K: deny},
		{Code: load, K: callNumber},
		{Code: atLeast, K: x32Calls, Jf: 1},
		{Code: answer, K: deny},
	}
	for _, call := range unwanted {
		filter = append(filter, unix.SockFilter{Code: equal, K: call, Jf: 1}, unix.SockFilter{Code: answer, K: deny})
	}
	return append(filter, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}
