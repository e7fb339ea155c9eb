package ssmdoc

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SessionTypes are those of schema 1.0, which the agent uses as plugin names.
var sessionTypes = []string{"Standard_Stream", "InteractiveCommands", "NonInteractiveCommands", "Port"}

var sessionInputs = []string{
	"s3BucketName", "s3KeyPrefix", "s3EncryptionEnabled", "cloudWatchLogGroupName", "cloudWatchEncryptionEnabled",
	"cloudWatchStreamingEnabled", "kmsKeyId", "runAsEnabled", "runAsDefaultUser", "idleSessionTimeout",
	"maxSessionDuration", "shellProfile",
	// Our own, which nodes do not see.
	"watchbill:requireSecondPerson", "watchbill:strictRecording", "watchbill:allowedHosts",
}

func (d *Document) checkSession() error {
	if err := (place{}).only(d.Root, "schemaVersion", "description", "sessionType", "inputs", "parameters", "properties"); err != nil {
		return err
	}
	if !slices.Contains(sessionTypes, d.SessionType) {
		line := d.Root.Line
		if n := d.Root.Get("sessionType"); n != nil {
			line = n.Line
		}
		return place{}.key("sessionType").errorf(line, "%q is not one of %s", d.SessionType, strings.Join(sessionTypes, ", "))
	}
	if err := checkSessionInputs(d.Root.Get("inputs")); err != nil {
		return err
	}
	if err := d.checkSessionProperties(); err != nil {
		return err
	}
	return d.checkKnownParameters()
}

func checkSessionInputs(n *Node) error {
	at := place{}.key("inputs")
	if err := at.want(n, Map, Null); err != nil || n == nil || n.Kind == Null {
		return err
	}
	if err := at.only(n, sessionInputs...); err != nil {
		return err
	}
	for _, f := range n.Fields {
		if err := checkSessionInput(at.key(f.Key), f.Key, f.Value); err != nil {
			return err
		}
	}
	return nil
}

func checkSessionInput(at place, key string, v *Node) error {
	if len(References(v.Any())) > 0 {
		return nil
	}
	switch key {
	case "shellProfile":
		if err := at.want(v, Map); err != nil {
			return err
		}
		return at.only(v, "windows", "linux")
	case "idleSessionTimeout":
		return checkMinutes(at, v, 60)
	case "maxSessionDuration":
		return checkMinutes(at, v, 1440)
	case "s3EncryptionEnabled", "cloudWatchEncryptionEnabled", "cloudWatchStreamingEnabled", "runAsEnabled",
		"watchbill:requireSecondPerson", "watchbill:strictRecording":
		if _, ok := v.Bool(); !ok {
			return at.errorf(v.Line, "must be true or false")
		}
		return nil
	}
	if key == "watchbill:allowedHosts" {
		return checkHosts(at, v)
	}
	return at.want(v, String)
}

// checkHosts wants a list of texts.
func checkHosts(at place, v *Node) error {
	if err := at.want(v, List); err != nil {
		return err
	}
	for i, item := range v.Items {
		if err := at.index(i).want(item, String); err != nil {
			return err
		}
	}
	return nil
}

// checkMinutes wants a text of digits from 1 to most; empty is as absent.
func checkMinutes(at place, v *Node, most int) error {
	if v.Str() == "" && (v.Kind == String || v.Kind == Null) {
		return nil
	}
	if i, err := strconv.Atoi(v.Str()); err != nil || i < 1 || i > most {
		return at.errorf(v.Line, "must be minutes from 1 to %d", most)
	}
	return nil
}

func (d *Document) checkSessionProperties() error {
	at, n := place{}.key("properties"), d.Root.Get("properties")
	if err := at.want(n, Map, String, Null); err != nil {
		return err
	}
	switch d.SessionType {
	case "Port":
		if n == nil {
			return at.errorf(d.Root.Line, "a Port document needs portNumber")
		}
		if err := at.only(n, "portNumber", "localPortNumber", "type", "host", "localConnectionType", "localUnixSocket"); err != nil {
			return err
		}
		return checkPort(at, n)
	case "InteractiveCommands", "NonInteractiveCommands":
		return checkCommands(at, d.Root, n)
	}
	return nil
}

var digits = regexp.MustCompile(`^[0-9]{1,5}$`)

func checkPort(at place, n *Node) error {
	if n.Get("portNumber") == nil {
		return at.errorf(n.Line, "a Port document needs portNumber")
	}
	for _, key := range []string{"portNumber", "localPortNumber"} {
		v := n.Get(key)
		if v == nil || len(References(v.Any())) > 0 || v.Str() == "" {
			continue
		}
		i, err := strconv.Atoi(v.Str())
		if !digits.MatchString(v.Str()) || err != nil || i > 65535 {
			return at.key(key).errorf(v.Line, "%q is not a port", v.Str())
		}
	}
	return nil
}

func checkCommands(at place, root, n *Node) error {
	if n == nil || n.Kind != Map || len(n.Fields) == 0 {
		return at.errorf(root.Line, "needs the commands of linux, windows or macos")
	}
	if err := at.only(n, "linux", "windows", "macos"); err != nil {
		return err
	}
	for _, f := range n.Fields {
		at := at.key(f.Key)
		if err := at.want(f.Value, Map); err != nil {
			return err
		}
		if err := at.only(f.Value, "commands", "runAsElevated", "separateOutputStream", "stdOutSeparatorPrefix", "stdErrSeparatorPrefix"); err != nil {
			return err
		}
		if f.Value.Get("commands") == nil {
			return at.errorf(f.Line, "commands is missing")
		}
		if err := at.key("commands").want(f.Value.Get("commands"), String, List); err != nil {
			return err
		}
	}
	return nil
}

// checkKnownParameters wants every plain reference to name a declared parameter.
func (d *Document) checkKnownParameters() error {
	return eachText(place{}, d.Root, func(at place, n *Node) error {
		for _, name := range References(n.Text) {
			if !strings.Contains(name, ":") && d.Parameter(name) == nil {
				return at.errorf(n.Line, "reference to undefined parameter %q", name)
			}
		}
		return nil
	})
}

// eachText visits the strings of a tree in order.
func eachText(at place, n *Node, visit func(place, *Node) error) error {
	if n == nil {
		return nil
	}
	if n.Kind == String {
		return visit(at, n)
	}
	for i, item := range n.Items {
		if err := eachText(at.index(i), item, visit); err != nil {
			return err
		}
	}
	for _, f := range n.Fields {
		if err := eachText(at.key(f.Key), f.Value, visit); err != nil {
			return err
		}
	}
	return nil
}
