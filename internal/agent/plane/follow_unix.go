//go:build unix

package plane

import "syscall"

const noFollow = syscall.O_NOFOLLOW
