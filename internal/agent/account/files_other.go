//go:build unix && !linux

package account

import "errors"

// Do runs f with the file permissions of the user, which here is only possible
// for the program's own.
func (u *User) Do(f func() error) error {
	if u.other {
		return errors.New("files of another user are not supported on this system")
	}
	return f()
}
