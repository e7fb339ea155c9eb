package session

import (
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/ssm"
)

// TestEncrypted: the plugin gets its data key from the hub, and the hub, which holds
// the key, still records the session.
func TestEncrypted(t *testing.T) {
	w := newWorld(t)
	var key kms.CreateKeyOutput
	w.Must(t, "kms", "CreateKey", &kms.CreateKeyInput{}, &key)
	content := `{"schemaVersion":"1.0","description":"Encrypted.","sessionType":"Standard_Stream","inputs":{"kmsKeyId":"` + *key.KeyMetadata.Arn + `","watchbill:strictRecording":true}}`
	w.Must(t, "ssm", "CreateDocument", &ssm.CreateDocumentInput{Name: new("Encrypted"), DocumentType: ssm.DocumentTypeSession, Content: &content}, &ssm.CreateDocumentOutput{})
	r := w.start(t, &ssm.StartSessionInput{DocumentName: new("Encrypted")})
	r.expect("$ ")
	r.typed("echo secret-$((6*7))\n")
	r.expect("secret-42")
	r.typed("exit\n")
	r.over()
	if cast := w.recording(t, r.session); !strings.Contains(cast, "secret-42") {
		t.Errorf("the recording is not in the clear:\n%s", cast)
	}
}
