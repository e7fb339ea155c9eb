package ssmdoc

func (d *Document) Validate(documentType string) error { return nil }
