package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// entry is the body of a call's fact. Account, Region, Actor, RequestID and At
// stand in it only inside a batch, whose row has none of its own.
type entry struct {
	Service     string     `json:"service,omitzero"`
	Operation   string     `json:"operation,omitzero"`
	Input       any        `json:"input,omitzero"`
	Status      int        `json:"status"`
	ErrorCode   string     `json:"errorCode,omitzero"`
	AccessKeyID string     `json:"accessKeyId,omitzero"`
	SourceIP    string     `json:"sourceIp,omitzero"`
	Account     string     `json:"account,omitzero"`
	Region      string     `json:"region,omitzero"`
	Actor       string     `json:"actor,omitzero"`
	RequestID   string     `json:"requestId,omitzero"`
	At          *time.Time `json:"at,omitzero"`
}

// longestInput is how much of an input, in bytes of JSON, is recorded whole. What is
// longer, as the inventory of a node is, is recorded by its size and hash.
const longestInput = 64 << 10

func redact(b wire.Binding, input any) any {
	r := shape.Redact(b.Model, b.Operation.Input, input)
	text, err := json.Marshal(r)
	if err != nil || len(text) <= longestInput {
		return r
	}
	sum := sha256.Sum256(text)
	return map[string]any{"omitted": true, "bytes": len(text), "sha256": hex.EncodeToString(sum[:])}
}

func (s *Service) newEntry(ctx context.Context, c wire.Call) entry {
	who, scope := identity.From(ctx), db.ScopeOf(ctx)
	e := entry{
		Service: c.Service, Operation: clean(c.Operation), Input: c.Input(), Status: c.Status, AccessKeyID: who.AccessKeyID, SourceIP: cmp.Or(who.SourceIP, c.Source),
		Account: scope.Account, Region: scope.Region, Actor: who.ARN, RequestID: c.RequestID, At: new(c.Started.UTC()),
	}
	if c.Err != nil {
		e.ErrorCode = fault.Of(c.Err).ErrorCode()
	}
	return e
}

// clean is a name out of a request, which can be anything, as it can be kept.
func clean(name string) string {
	const most = 128
	return strings.ToValidUTF8(strings.ReplaceAll(name[:min(len(name), most)], "\x00", ""), "")
}

// recordNow records one call durably.
func (s *Service) recordNow(ctx context.Context, e entry) error {
	ctx = context.WithValue(ctx, callKey{}, (*call)(nil))
	ctx = wire.WithRequestID(journal.WithActor(ctx, e.Actor), e.RequestID)
	e.Account, e.Region, e.Actor, e.RequestID, e.At = "", "", "", "", nil
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		return s.Journal.Record(tx, journal.Fact{Kind: KindCalled, Subject: e.Operation, Body: e})
	})
}
