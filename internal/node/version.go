package node

// version is set by the linker.
var version = "dev"

// Version returns the version of this binary.
func Version() string { return version }
