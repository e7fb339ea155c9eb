package setting_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/capability/setting"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/db/dbtest"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/journal/journaltest"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

const ada = "arn:aws:iam::123456789012:user/ada"

type answer struct {
	ServiceSetting struct{ SettingId, SettingValue, Status, LastModifiedUser, ARN string }
}

func TestOperations(t *testing.T) {
	dbtest.Each(t, []db.Migrations{journal.Migrations, setting.Migrations}, func(t *testing.T, d *db.DB) {
		s := setting.New(setting.Service{DB: d, Journal: journaltest.New(t, d)})
		client := wiretest.New(t, s.Operations()...)
		region := "us-east-1"
		client.Context = func(ctx context.Context) context.Context {
			return journal.WithActor(db.WithScope(ctx, db.Scope{Account: "123456789012", Region: region}), ada)
		}
		call := func(operation, id, value string) (out answer, code string) {
			t.Helper()
			input := map[string]string{"SettingId": id}
			if value != "" {
				input["SettingValue"] = value
			}
			text, _ := json.Marshal(input)
			b, err := client.Call(t.Context(), "ssm", operation, text)
			if coded, ok := errors.AsType[fault.Coded](err); ok {
				return out, coded.ErrorCode()
			}
			if err := errors.Join(err, json.Unmarshal(b, &out)); err != nil {
				t.Fatal(err)
			}
			return out, ""
		}
		want := func(operation, id, value string, w ...string) {
			t.Helper()
			out, code := call(operation, id, value)
			got := []string{out.ServiceSetting.SettingValue, out.ServiceSetting.Status, out.ServiceSetting.LastModifiedUser}
			if code != "" {
				got = []string{code}
			}
			if diff := cmp.Diff(w, got); diff != "" {
				t.Errorf("%s %s: %s", operation, id, diff)
			}
		}
		tier := setting.DefaultParameterTier
		long := "arn:aws:ssm:us-east-1:123456789012:servicesetting" + tier
		want("GetServiceSetting", tier, "", "Standard", "Default", "System")
		want("UpdateServiceSetting", tier, "Intelligent-Tiering", "", "", "")
		want("UpdateServiceSetting", long, "Advanced", "", "", "")
		want("GetServiceSetting", long, "", "Advanced", "Customized", ada)
		if out, _ := call("GetServiceSetting", tier, ""); out.ServiceSetting.ARN != long || out.ServiceSetting.SettingId != tier {
			t.Errorf("%+v", out)
		}
		want("UpdateServiceSetting", tier, "Cheap", "ValidationException")
		want("UpdateServiceSetting", setting.DefaultManagementRole, "service-role/Nodes", "", "", "")
		want("UpdateServiceSetting", setting.DefaultManagementRole, "a b", "ValidationException")
		for _, operation := range []string{"GetServiceSetting", "ResetServiceSetting"} {
			want(operation, "/ssm/none", "", "ServiceSettingNotFound")
			want(operation, "arn:aws:ssm:eu-west-1:123456789012:servicesetting"+tier, "", "ServiceSettingNotFound")
		}
		want("UpdateServiceSetting", "/ssm/none", "x", "ServiceSettingNotFound")
		region = "eu-west-1"
		want("GetServiceSetting", tier, "", "Standard", "Default", "System")
		region = "us-east-1"
		err := d.View(db.WithScope(t.Context(), db.Scope{Account: "123456789012", Region: region}), func(tx *db.Tx) error {
			value, err := s.Value(tx, tier)
			if value != "Advanced" {
				t.Errorf("Value: %q", value)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		want("ResetServiceSetting", tier, "", "Standard", "Default", "System")
		want("GetServiceSetting", tier, "", "Standard", "Default", "System")
	})
}
