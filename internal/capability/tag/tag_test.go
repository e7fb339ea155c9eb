package tag_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/capability/tag"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

func manyTags(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`{"Key":"k%d","Value":""}`, i))
	}
	return strings.Join(out, ",")
}

func TestOperations(t *testing.T) {
	dbtest.Each(t, []db.Migrations{journal.Migrations, tagging.Migrations}, func(t *testing.T, d *db.DB) {
		tagging.Register("Document", func(_ *db.Tx, id string) error {
			if id != "Deploy" {
				return &ssm.InvalidResourceId{}
			}
			return nil
		})
		j := journaltest.New(t, d)
		var told []string
		j.Subscribe(journal.Subscription{Name: "test", Kinds: []string{"tags.added", "tags.removed"}, Handle: func(_ context.Context, _ *db.Tx, row journal.Row) error {
			told = append(told, row.Kind+" "+row.Subject)
			return nil
		}})
		client := wiretest.New(t, tag.New(tag.Service{DB: d, Journal: j}).Operations()...)
		client.Context = func(ctx context.Context) context.Context {
			return db.WithScope(ctx, db.Scope{Account: "123456789012", Region: "us-east-1"})
		}
		const deploy = `"ResourceType":"Document","ResourceId":"Deploy"`
		steps := []struct{ operation, input, want string }{
			{"ListTagsForResource", `{` + deploy + `}`, `{"TagList":[]}`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[{"Key":"b","Value":"2"},{"Key":"a","Value":""}]}`, `{}`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[{"Key":"b","Value":"3"}]}`, `{}`},
			{"ListTagsForResource", `{` + deploy + `}`, `{"TagList":[{"Key":"a","Value":""},{"Key":"b","Value":"3"}]}`},
			{"RemoveTagsFromResource", `{` + deploy + `,"TagKeys":["a","none"]}`, `{}`},
			{"ListTagsForResource", `{` + deploy + `}`, `{"TagList":[{"Key":"b","Value":"3"}]}`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[` + manyTags(50) + `]}`, `TooManyTagsError`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[{"Key":"Aws:x","Value":"3"}]}`, `ValidationException`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[{"Key":"x","Value":"3"},{"Key":"x","Value":"3"}]}`, `ValidationException`},
			{"AddTagsToResource", `{` + deploy + `,"Tags":[{"Key":"","Value":"3"}]}`, `ValidationException`},
			{"AddTagsToResource", `{"ResourceType":"Document","ResourceId":"None","Tags":[{"Key":"x","Value":"3"}]}`, `InvalidResourceId`},
			{"RemoveTagsFromResource", `{"ResourceType":"Document","ResourceId":"None","TagKeys":["x"]}`, `InvalidResourceId`},
			{"ListTagsForResource", `{"ResourceType":"OpsMetadata","ResourceId":"x"}`, `InvalidResourceType`},
			{"ListTagsForResource", `{"ResourceType":"Thing","ResourceId":"x"}`, `ValidationException`},
			{"ListTagsForResource", `{` + deploy + `}`, `{"TagList":[{"Key":"b","Value":"3"}]}`},
		}
		for _, s := range steps {
			out, err := client.Call(t.Context(), "ssm", s.operation, []byte(s.input))
			got := strings.TrimSpace(string(out))
			if coded, ok := errors.AsType[fault.Coded](err); ok {
				got = coded.ErrorCode()
			}
			if got != s.want {
				t.Errorf("%s %.120s: %s, want %s", s.operation, s.input, got, s.want)
			}
		}
		if err := j.Dispatch(t.Context()); err != nil || strings.Join(told, ",") != "tags.added Deploy,tags.added Deploy,tags.removed Deploy" {
			t.Errorf("%v %v", told, err)
		}
	})
}
