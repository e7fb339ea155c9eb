package account

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"
)

// Do runs f with the file permissions of the user. For another user than the
// node program's that is a thread of its own, which is thrown away: the kernel
// keeps the permissions for opening files by thread. Errors: those of f, or that
// the permissions cannot be taken.
func (u *User) Do(f func() error) error {
	if !u.other {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := u.become(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// become sets the groups and the file system user of this thread.
func (u *User) become() error {
	groups := append([]uint32{}, u.groups...)
	groups = append(groups, 0) // so that there is a first one
	if _, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(u.groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return e
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSGID, uintptr(u.gid), 0, 0)
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(u.uid), 0, 0)
	// The calls answer the value that was there before, so a second one tells.
	none := ^uintptr(0)
	uid, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, none, 0, 0)
	gid, _, _ := syscall.RawSyscall(syscall.SYS_SETFSGID, none, 0, 0)
	if uint32(uid) != u.uid || uint32(gid) != u.gid {
		return errors.New("the file permissions of the session's user cannot be taken")
	}
	return nil
}
