package document

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ssmdoc"
)

// amazon is the owner of the documents that come with the hub under AWS's names.
const amazon = "Amazon"

// ownedFS holds their content, written for Watchbill: owned/TYPE/NAME.yaml or .json.
//
//go:embed owned
var ownedFS embed.FS

// ownedSince is the date that documents of AWS bear; they change with the program only.
var ownedSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type ownedDocument struct {
	head    head
	version version
}

// ownedDocuments reads the embedded documents once. A document that breaks the
// rules of its type is a fault of the program, found by the tests.
var ownedDocuments = sync.OnceValue(func() map[string]*ownedDocument {
	all := map[string]*ownedDocument{}
	types, err := ownedFS.ReadDir("owned")
	if err != nil {
		panic(err)
	}
	for _, t := range types {
		files, err := ownedFS.ReadDir(path.Join("owned", t.Name()))
		if err != nil {
			panic(err)
		}
		for _, f := range files {
			o, err := readOwned(t.Name(), f.Name())
			if err != nil {
				panic(fmt.Sprintf("document: owned/%s/%s: %v", t.Name(), f.Name(), err))
			}
			all[o.head.Name] = o
		}
	}
	return all
})

func readOwned(documentType, file string) (*ownedDocument, error) {
	content, err := ownedFS.ReadFile(path.Join("owned", documentType, file))
	if err != nil {
		return nil, err
	}
	format := ssm.DocumentFormatJson
	if strings.HasSuffix(file, ".yaml") {
		format = ssm.DocumentFormatYaml
	}
	doc, err := ssmdoc.Parse(content, string(format))
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(documentType); err != nil {
		return nil, err
	}
	o := &ownedDocument{
		head: head{
			Name: strings.TrimSuffix(file, path.Ext(file)), Type: ssm.DocumentType(documentType),
			Default: 1, Latest: 1, Last: 1, Created: ownedSince, Owner: amazon,
		},
		version: version{
			Number: 1, Format: format, Content: string(content), Hash: ssmdoc.Hash(content), Schema: doc.SchemaVersion,
			TargetType: targetOf(documentType), Platforms: platforms(doc, ssm.DocumentType(documentType)), Created: ownedSince,
		},
	}
	return o, nil
}

func targetOf(documentType string) string {
	if documentType == string(ssm.DocumentTypeCommand) {
		return "/AWS::EC2::Instance"
	}
	return ""
}

// ownedHead is a document of AWS, nil when there is none of the name.
func ownedHead(name string) *head {
	if o := ownedDocuments()[name]; o != nil {
		h := o.head
		return &h
	}
	return nil
}

func ownedVersion(name string, number int64) *version {
	if o := ownedDocuments()[name]; o != nil && number == 1 {
		v := o.version
		return &v
	}
	return nil
}

// ownedNames are the names that lists show, in order.
var ownedNames = sync.OnceValue(func() []string {
	names := []string{}
	for name := range ownedDocuments() {
		if name != preferences {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
})
