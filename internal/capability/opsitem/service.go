package opsitem

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire"
)

// Kind is the AWS ResourceType under which tags of OpsItems are kept.
const Kind = string(ssm.ResourceTypeForTaggingOpsItem)

// Service serves the operations of OpsItems.
type Service struct {
	DB      *db.DB
	Journal *journal.Journal
}

// New makes OpsItems taggable.
func New(s Service) *Service {
	tagging.Register(Kind, func(tx *db.Tx, id string) error {
		_, err := mustLoad(tx, id, "")
		return err
	})
	return &s
}

// Operations are the bindings of the operations served here.
func (s *Service) Operations() []wire.Binding {
	return []wire.Binding{
		ssm.BindCreateOpsItem(s.CreateOpsItem),
		ssm.BindGetOpsItem(s.GetOpsItem),
		ssm.BindUpdateOpsItem(s.UpdateOpsItem),
		ssm.BindDeleteOpsItem(s.DeleteOpsItem),
		ssm.BindDescribeOpsItems(s.DescribeOpsItems),
		ssm.BindAssociateOpsItemRelatedItem(s.AssociateOpsItemRelatedItem),
		ssm.BindDisassociateOpsItemRelatedItem(s.DisassociateOpsItemRelatedItem),
		ssm.BindListOpsItemRelatedItems(s.ListOpsItemRelatedItems),
		ssm.BindListOpsItemEvents(s.ListOpsItemEvents),
	}
}

// ARN is the ARN of an OpsItem.
func ARN(s db.Scope, id string) string { return arn.SSM(s, "opsitem/"+id) }

func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return "oi-" + hex.EncodeToString(b[:])
}

func mustLoad(tx *db.Tx, id, lock string) (item, error) {
	i, ok, err := load(tx, id, lock)
	if err == nil && !ok {
		err = &ssm.OpsItemNotFoundException{Message: "OpsItem ID " + id + " not found"}
	}
	return i, err
}

func invalid(parameter, format string, args ...any) error {
	return &ssm.OpsItemInvalidParameterException{Message: fmt.Sprintf(format, args...), ParameterNames: []string{parameter}}
}

func (s *Service) record(tx *db.Tx, kind string, i item, body any, related ...string) error {
	return s.Journal.Record(tx, journal.Fact{Kind: kind, Subject: ARN(tx.Scope, i.ID), Related: related, Body: body})
}

const (
	mostData = 20 << 10
	dedupKey = "/aws/dedup"
)

// ours are the operational data keys under a reserved prefix that callers set.
var ours = map[string]bool{"/aws/resources": true, "/aws/automations": true, dedupKey: true}

// checkData refuses reserved keys and values that are too long.
func checkData(data map[string]ssm.OpsItemDataValue) error {
	for k, v := range data {
		lower := strings.ToLower(k)
		reserved := strings.HasPrefix(lower, "/aws") || strings.HasPrefix(lower, "/amazon") || strings.HasPrefix(lower, "/amzn") ||
			strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "amazon") || strings.HasPrefix(lower, "amzn")
		if reserved && !ours[k] {
			return invalid("OperationalData", "the operational data key %s uses a reserved prefix", k)
		}
		if v.Value != nil && len(*v.Value) > mostData {
			return invalid("OperationalData", "the value of %s is longer than 20 KB", k)
		}
	}
	return nil
}

// dedupOf hashes the deduplication string and the resources of an item; "" when
// it has none.
func dedupOf(data map[string]ssm.OpsItemDataValue) (string, error) {
	v, ok := data[dedupKey]
	if !ok || v.Value == nil {
		return "", nil
	}
	var d struct {
		DedupString string `json:"dedupString"`
	}
	if err := json.Unmarshal([]byte(*v.Value), &d); err != nil || d.DedupString == "" {
		return "", invalid("OperationalData", `the value of %s has to be {"dedupString":"..."}`, dedupKey)
	}
	resources := ""
	if r, ok := data["/aws/resources"]; ok && r.Value != nil {
		resources = *r.Value
	}
	return dedupHash(d.DedupString, resources), nil
}

func dedupHash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d\x00%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func tagErr(err error) error {
	if errors.Is(err, tagging.ErrTooMany) {
		return invalid("Tags", "an OpsItem can have at most 50 tags")
	}
	return err
}
