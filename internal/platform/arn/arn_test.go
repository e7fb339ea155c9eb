package arn_test

import (
	"errors"
	"testing"

	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]arn.ARN{
		"arn:aws:ssm:us-east-1:123456789012:parameter/a/b":      {"aws", "ssm", "us-east-1", "123456789012", "parameter/a/b"},
		"arn:aws:ssm-incidents::123456789012:response-plan/x:y": {"aws", "ssm-incidents", "", "123456789012", "response-plan/x:y"},
		"arn:aws:iam::123456789012:role/path/name":              {"aws", "iam", "", "123456789012", "role/path/name"},
	} {
		got, err := arn.Parse(in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "arn", "arn:aws:ssm:r:a", "arn::ssm:r:a:x", "arn:aws::r:a:x", "arn:aws-cn:ssm:r:a:x", "arn:aws:ssm:r:a:", "x:aws:ssm:r:a:b"} {
		if _, err := arn.Parse(bad); !errors.Is(err, arn.ErrForm) {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestTypeAndMake(t *testing.T) {
	a, err := arn.Parse(arn.SSM(db.Scope{Account: "1", Region: "r"}, "parameter/a/b"))
	if kind, id := a.Type(); err != nil || kind != "parameter" || id != "a/b" {
		t.Fatal(kind, id, err)
	}
}
