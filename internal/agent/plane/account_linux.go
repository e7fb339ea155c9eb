package plane

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"
)

// do runs f with the file permissions of the account. For another user that is a
// thread of its own, which is thrown away: the kernel keeps the permissions for
// opening files by thread.
func (a *account) do(f func() error) error {
	if !a.other {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := a.become(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// become sets the groups and the file system user of this thread.
func (a *account) become() error {
	groups := make([]uint32, len(a.groups)+1)
	for i, g := range a.groups {
		groups[i] = uint32(g)
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(a.groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return e
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSGID, uintptr(a.gid), 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(a.uid), 0, 0)
	// The calls answer the value that was there before, so a second one tells.
	none := ^uintptr(0)
	uid, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, none, 0, 0)
	gid, _, _ := syscall.RawSyscall(syscall.SYS_SETFSGID, none, 0, 0)
	if int(uid) != a.uid || int(gid) != a.gid {
		return errors.New("the file permissions of the session's user cannot be taken")
	}
	return nil
}
