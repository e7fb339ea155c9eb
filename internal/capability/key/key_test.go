package key_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/capability/key"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/seal"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

type in map[string]any

type fixture struct {
	t       *testing.T
	db      *db.DB
	s       *key.Service
	client  *wiretest.Client
	region  string
	caller  identity.Caller
	refused string // the action that Allow refuses
	asked   []string
}

func each(t *testing.T, f func(f *fixture)) {
	dbtest.Each(t, []db.Migrations{task.Migrations, journal.Migrations, key.Migrations}, func(t *testing.T, d *db.DB) {
		x := &fixture{t: t, db: d, region: "us-east-1", caller: identity.Caller{ARN: "arn:aws:iam::123456789012:user/ada", Kind: identity.User}}
		sealer, err := seal.OpenFile(t.TempDir() + "/seal.key")
		if err != nil {
			t.Fatal(err)
		}
		x.s = key.New(key.Service{DB: d, Tasks: task.New(d, slog.New(slog.DiscardHandler)), Journal: journaltest.New(t, d), Sealer: sealer, Allow: x.allow, Session: x.session})
		x.client = wiretest.New(t, x.s.Operations()...)
		x.client.Context = x.context
		f(x)
	})
}

func (f *fixture) context(ctx context.Context) context.Context {
	return identity.With(db.WithScope(ctx, db.Scope{Account: "123456789012", Region: f.region}), f.caller)
}

func (f *fixture) session(_ context.Context, node, session string) (bool, error) {
	return node == "mi-1" && session == "ada-1", nil
}

func (f *fixture) allow(_ context.Context, action string, resources ...string) error {
	f.asked = append(f.asked, action+" "+strings.Join(resources, " "))
	if action == f.refused {
		return fault.AccessDenied("no")
	}
	return nil
}

type out struct {
	KeyMetadata struct {
		KeyId, Arn, KeyState, KeyManager, Description string
		Enabled                                       bool
	}
	Keys                        []struct{ KeyId string }
	Aliases                     []struct{ AliasName, TargetKeyId string }
	CiphertextBlob, Plaintext   string
	KeyId, KeyState, NextMarker string
	Truncated                   bool
	PendingWindowInDays         int
}

// call returns the output and the code of the error.
func (f *fixture) call(op string, input in) (o out, code string) {
	f.t.Helper()
	text, _ := json.Marshal(input)
	b, err := f.client.Call(f.t.Context(), "kms", op, text)
	if c, ok := errors.AsType[fault.Coded](err); ok {
		return o, c.ErrorCode()
	}
	if err := errors.Join(err, json.Unmarshal(b, &o)); err != nil {
		f.t.Fatal(err)
	}
	return o, ""
}

func (f *fixture) ok(op string, input in) out {
	f.t.Helper()
	o, code := f.call(op, input)
	if code != "" {
		f.t.Fatalf("%s %v: %s", op, input, code)
	}
	return o
}

func (f *fixture) fails(want, op string, input in) {
	f.t.Helper()
	if _, code := f.call(op, input); code != want {
		f.t.Errorf("%s %v = %q, want %s", op, input, code, want)
	}
}

func TestEncryptAndDecrypt(t *testing.T) {
	each(t, func(f *fixture) {
		k := f.ok("CreateKey", in{"Description": "mine"}).KeyMetadata
		if k.KeyState != "Enabled" || k.KeyManager != "CUSTOMER" || k.Description != "mine" || !strings.HasSuffix(k.Arn, ":key/"+k.KeyId) {
			f.t.Errorf("%+v", k)
		}
		f.ok("CreateAlias", in{"AliasName": "alias/mine", "TargetKeyId": k.KeyId})
		text := base64.StdEncoding.EncodeToString([]byte("hello"))
		for _, id := range []string{k.KeyId, k.Arn, "alias/mine", "arn:aws:kms:us-east-1:123456789012:alias/mine"} {
			c := f.ok("Encrypt", in{"KeyId": id, "Plaintext": text, "EncryptionContext": in{"a": "1"}})
			if got := f.ok("Decrypt", in{"CiphertextBlob": c.CiphertextBlob, "EncryptionContext": in{"a": "1"}}); got.Plaintext != text || got.KeyId != k.Arn {
				f.t.Errorf("%+v", got)
			}
		}
		f.fails("NotFoundException", "Encrypt", in{"KeyId": "alias/none", "Plaintext": text})
		f.fails("NotFoundException", "Encrypt", in{"KeyId": "arn:aws:kms:eu-west-1:123456789012:key/" + k.KeyId, "Plaintext": text})
		f.fails("NotFoundException", "Encrypt", in{"KeyId": "arn:aws:kms:us-east-1:210987654321:key/" + k.KeyId, "Plaintext": text})
	})
}

// A ciphertext opens in one place with one context only, and not when it was changed.
func TestCiphertextIsBound(t *testing.T) {
	each(t, func(f *fixture) {
		one, two := f.ok("CreateKey", in{}).KeyMetadata.KeyId, f.ok("CreateKey", in{}).KeyMetadata.KeyId
		bound := in{"aws:ssm:SessionId": "ada-1", "aws:ssm:TargetId": "mi-1"}
		c := f.ok("GenerateDataKey", in{"KeyId": one, "NumberOfBytes": 64, "EncryptionContext": bound})
		plain, _ := base64.StdEncoding.DecodeString(c.Plaintext)
		blob, _ := base64.StdEncoding.DecodeString(c.CiphertextBlob)
		if len(plain) != 64 {
			f.t.Errorf("%d bytes", len(plain))
		}
		for _, other := range []in{nil, {"aws:ssm:TargetId": "mi-1"}, {"aws:ssm:SessionId": "ada-1", "aws:ssm:TargetId": "mi-2"}, {"aws:ssm:SessionIdada-1": "", "aws:ssm:TargetId": "mi-1"}} {
			f.fails("InvalidCiphertextException", "Decrypt", in{"CiphertextBlob": c.CiphertextBlob, "EncryptionContext": other})
		}
		for _, i := range []int{0, 1, 20, 50, len(blob) - 1} {
			bad := bytes.Clone(blob)
			bad[i] ^= 1
			f.fails("InvalidCiphertextException", "Decrypt", in{"CiphertextBlob": bad, "EncryptionContext": bound})
		}
		f.fails("InvalidCiphertextException", "Decrypt", in{"CiphertextBlob": blob[:40], "EncryptionContext": bound})
		f.fails("IncorrectKeyException", "Decrypt", in{"CiphertextBlob": blob, "EncryptionContext": bound, "KeyId": two})
		f.region = "eu-west-1"
		f.fails("InvalidCiphertextException", "Decrypt", in{"CiphertextBlob": blob, "EncryptionContext": bound})
		f.region = "us-east-1"
		got, err := f.s.Reveal(f.context(f.t.Context()), blob, map[string]string{"aws:ssm:SessionId": "ada-1", "aws:ssm:TargetId": "mi-1"})
		if err != nil || !bytes.Equal(got, plain) {
			f.t.Errorf("Reveal = %x, %v", got, err)
		}
	})
}

func TestStates(t *testing.T) {
	each(t, func(f *fixture) {
		id := f.ok("CreateKey", in{}).KeyMetadata.KeyId
		c := f.ok("Encrypt", in{"KeyId": id, "Plaintext": "aGVsbG8="}).CiphertextBlob
		f.ok("DisableKey", in{"KeyId": id})
		f.fails("DisabledException", "Encrypt", in{"KeyId": id, "Plaintext": "aGVsbG8="})
		f.fails("DisabledException", "Decrypt", in{"CiphertextBlob": c})
		f.ok("EnableKey", in{"KeyId": id})
		f.ok("Decrypt", in{"CiphertextBlob": c})
		if o := f.ok("ScheduleKeyDeletion", in{"KeyId": id, "PendingWindowInDays": 7}); o.KeyState != "PendingDeletion" || o.PendingWindowInDays != 7 {
			f.t.Errorf("%+v", o)
		}
		f.fails("KMSInvalidStateException", "Decrypt", in{"CiphertextBlob": c})
		f.fails("KMSInvalidStateException", "EnableKey", in{"KeyId": id})
		f.ok("CancelKeyDeletion", in{"KeyId": id})
		if o := f.ok("DescribeKey", in{"KeyId": id}); o.KeyMetadata.KeyState != "Disabled" {
			f.t.Errorf("%+v", o)
		}
		f.fails("ValidationException", "ScheduleKeyDeletion", in{"KeyId": id, "PendingWindowInDays": 3})
		f.fails("UnsupportedOperationException", "CreateKey", in{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})
		f.fails("UnsupportedOperationException", "CreateKey", in{"Policy": "{}"})
	})
}

func TestAliases(t *testing.T) {
	each(t, func(f *fixture) {
		one, two := f.ok("CreateKey", in{}).KeyMetadata.KeyId, f.ok("CreateKey", in{}).KeyMetadata.KeyId
		f.ok("CreateAlias", in{"AliasName": "alias/a", "TargetKeyId": one})
		f.fails("AlreadyExistsException", "CreateAlias", in{"AliasName": "alias/a", "TargetKeyId": two})
		f.fails("InvalidAliasNameException", "CreateAlias", in{"AliasName": "alias/aws/mine", "TargetKeyId": two})
		f.fails("InvalidAliasNameException", "CreateAlias", in{"AliasName": "mine", "TargetKeyId": two})
		f.fails("NotFoundException", "UpdateAlias", in{"AliasName": "alias/b", "TargetKeyId": two})
		f.ok("UpdateAlias", in{"AliasName": "alias/a", "TargetKeyId": two})
		if o := f.ok("ListAliases", in{"KeyId": two}); len(o.Aliases) != 1 || o.Aliases[0].TargetKeyId != two {
			f.t.Errorf("%+v", o)
		}
		// The default key is there when it is asked for, once.
		first := f.ok("DescribeKey", in{"KeyId": key.DefaultAlias}).KeyMetadata
		if again := f.ok("DescribeKey", in{"KeyId": key.DefaultAlias}).KeyMetadata; again != first || first.KeyManager != "AWS" {
			f.t.Errorf("%+v %+v", first, again)
		}
		f.fails("AccessDeniedException", "ScheduleKeyDeletion", in{"KeyId": key.DefaultAlias})
		page := f.ok("ListAliases", in{"Limit": 1})
		rest := f.ok("ListAliases", in{"Limit": 1, "Marker": page.NextMarker})
		if !page.Truncated || rest.Truncated || page.Aliases[0].AliasName != "alias/a" || rest.Aliases[0].AliasName != key.DefaultAlias {
			f.t.Errorf("%+v %+v", page, rest)
		}
		f.ok("DeleteAlias", in{"AliasName": "alias/a"})
		f.fails("NotFoundException", "DescribeKey", in{"KeyId": "alias/a"})
		if o := f.ok("ListKeys", in{}); len(o.Keys) != 3 {
			f.t.Errorf("%+v", o)
		}
	})
}

// Rights are asked for the key that was found; a node has the data keys of its sessions.
func TestRights(t *testing.T) {
	each(t, func(f *fixture) {
		k := f.ok("CreateKey", in{}).KeyMetadata
		c := f.ok("Encrypt", in{"KeyId": k.KeyId, "Plaintext": "aGVsbG8="}).CiphertextBlob
		own, other := in{"aws:ssm:SessionId": "ada-1", "aws:ssm:TargetId": "mi-1"}, in{"aws:ssm:SessionId": "ada-2", "aws:ssm:TargetId": "mi-1"}
		data := map[string]string{}
		for name, about := range map[string]in{"own": own, "other": other} {
			data[name] = f.ok("GenerateDataKey", in{"KeyId": k.KeyId, "NumberOfBytes": 64, "EncryptionContext": about}).CiphertextBlob
		}
		f.refused, f.asked = "kms:Decrypt", nil
		f.fails("AccessDeniedException", "Decrypt", in{"CiphertextBlob": c})
		if len(f.asked) != 1 || f.asked[0] != "kms:Decrypt "+k.Arn {
			f.t.Errorf("asked %v", f.asked)
		}
		f.refused = "kms:Encrypt"
		f.fails("AccessDeniedException", "Encrypt", in{"KeyId": "alias/none", "Plaintext": "aGVsbG8="})
		f.refused = ""
		f.caller = identity.Caller{ARN: "arn:aws:sts::123456789012:assumed-role/node/mi-1", Kind: identity.Node, SessionName: "mi-1"}
		f.asked = nil
		f.ok("Decrypt", in{"CiphertextBlob": data["own"], "EncryptionContext": own})
		f.fails("AccessDeniedException", "Decrypt", in{"CiphertextBlob": data["other"], "EncryptionContext": other})
		f.fails("AccessDeniedException", "Decrypt", in{"CiphertextBlob": c})
		f.fails("InvalidCiphertextException", "Decrypt", in{"CiphertextBlob": c, "EncryptionContext": own})
		if len(f.asked) != 0 {
			f.t.Errorf("asked %v", f.asked)
		}
	})
}

// No key lies in the store in plain.
func TestMaterialIsSealed(t *testing.T) {
	each(t, func(f *fixture) {
		f.ok("CreateKey", in{})
		err := f.db.View(f.context(f.t.Context()), func(tx *db.Tx) error {
			var material []byte
			if err := tx.QueryRow("select material from key_key").Scan(&material); err != nil {
				return err
			}
			if len(material) <= 32 {
				f.t.Errorf("the material has %d bytes: it is not sealed", len(material))
			}
			return nil
		})
		if err != nil {
			f.t.Error(err)
		}
	})
}
