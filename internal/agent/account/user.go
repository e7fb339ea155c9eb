package account

import "errors"

// errNoUser is the error of sessions that want a user and get none.
var errNoUser = errors.New("the session document asks for a run-as user, and none is configured")

// Want is what a session says about its user.
type Want struct {
	Name     string // the user that the hub names, "" for none
	RunAs    bool   // the preferences want a named user
	Default  string // the one of the preferences, when the hub names none
	Elevated bool   // the document's command runs as the node program
	Over     bool   // elevated holds even where a user is named, as in the stock agent
}

// name is the user that is wanted, "" for the usual one. Error: one is wanted
// and not named.
func (w Want) name() (string, error) {
	switch {
	case w.Name != "" || !w.RunAs:
		return w.Name, nil
	case w.Default == "":
		return "", errNoUser
	}
	return w.Default, nil
}
