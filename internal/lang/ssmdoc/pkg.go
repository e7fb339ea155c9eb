package ssmdoc

// checkPackage looks over the manifest of a Distributor package.
func (d *Document) checkPackage() error {
	for _, key := range []string{"version", "packages", "files"} {
		if d.Root.Get(key) == nil {
			return &Error{Line: d.Root.Line, Message: "a Package document needs " + key}
		}
	}
	for _, key := range []string{"packages", "files"} {
		if err := (place{}).key(key).want(d.Root.Get(key), Map); err != nil {
			return err
		}
	}
	return nil
}
