//go:build unix && !linux

package plane

import "errors"

// do runs f with the file permissions of the account, which here is only possible
// for the program's own.
func (a *account) do(f func() error) error {
	if a.other {
		return errors.New("files of another user are not supported on this system")
	}
	return f()
}
