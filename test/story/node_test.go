package story

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// nodeCases are the ways in which one node could speak for another.
func nodeCases(w *world, impostor *hubtest.Node) []bad {
	job := mgs.JobID(w.values["CommandId"], w.node.ID)
	ec2 := "EC2WindowsMessageDeliveryService."
	as := func(target string, in map[string]any) hubtest.Request {
		body, _ := json.Marshal(in)
		q := hubtest.JSON(target, string(body))
		q.Credentials = impostor.Credentials
		if strings.HasPrefix(target, ec2) {
			q.Service = "ec2messages"
		}
		return q
	}
	reply := `{"documentStatus":"Success","runtimeStatus":{"say":{"status":"Success","code":0}}}`
	channel := func(c sigv4.Credentials, id string) hubtest.Request {
		return hubtest.Request{
			Service: "ssmmessages", Credentials: c,
			Request: shapeRequest(http.MethodPost, "/v1/control-channel/"+id, `{"MessageSchemaVersion":"1.0","RequestId":"r"}`, "application/json"),
		}
	}
	admin := func(q hubtest.Request) hubtest.Request { q.Credentials = hubtest.Admin; return q }
	return []bad{
		{"reply to another's command", as(ec2+"SendReply", map[string]any{"MessageId": job, "ReplyId": "r", "Payload": reply}), 400, "AccessDeniedException"},
		{"acknowledge another's command", as(ec2+"AcknowledgeMessage", map[string]any{"MessageId": job}), 400, "AccessDeniedException"},
		{"fail another's command", as(ec2+"FailMessage", map[string]any{"MessageId": job, "FailureType": "InternalHandlerException"}), 400, "AccessDeniedException"},
		{"reply to no command", as(ec2+"SendReply", map[string]any{"MessageId": "x", "Payload": reply}), 400, "AccessDeniedException"},
		{"reply in no form", as(ec2+"SendReply", map[string]any{"MessageId": job, "Payload": "{"}), 400, "AccessDeniedException|ValidationException"},
		{"poll for another", as(ec2+"GetMessages", map[string]any{"Destination": w.node.ID, "MessagesRequestId": "r"}), 400, "AccessDeniedException"},
		{"health of another", as("AmazonSSM.UpdateInstanceInformation", map[string]any{"InstanceId": w.node.ID, "AgentVersion": "9"}), 400, "AccessDeniedException"},
		{"associations of another", as("AmazonSSM.ListInstanceAssociations", map[string]any{"InstanceId": w.node.ID}), 400, "AccessDeniedException"},
		{"inventory of another", as("AmazonSSM.PutInventory", map[string]any{"InstanceId": w.node.ID, "Items": []any{map[string]string{"TypeName": "AWS:Application", "SchemaVersion": "1.1", "CaptureTime": "2026-01-01T00:00:00Z"}}}), 400, "AccessDeniedException"},
		{"send a command", as("AmazonSSM.SendCommand", map[string]any{"DocumentName": "Printing", "InstanceIds": []string{impostor.ID}}), 400, "AccessDeniedException"},
		{"read a secret", as("AmazonSSM.GetParameters", map[string]any{"Names": []string{"/red/secret"}, "WithDecryption": true}), 400, "AccessDeniedException"},
		{"channel of another", channel(impostor.Credentials, w.node.ID), 400, "AccessDeniedException"},
		{"channel of a node by the administrator", channel(hubtest.Admin, w.node.ID), 400, "AccessDeniedException"},
		{"health by the administrator", admin(as("AmazonSSM.UpdateInstanceInformation", map[string]any{"InstanceId": w.node.ID})), 400, "AccessDeniedException"},
		{"reply by the administrator", admin(as(ec2+"SendReply", map[string]any{"MessageId": job, "Payload": reply})), 400, "AccessDeniedException"},
	}
}

// A node can speak for itself and for nobody else.
func TestNodeImpostor(t *testing.T) {
	hubtest.Each(t, nil, func(t *testing.T, h *hubtest.Hub) {
		w := newWorld(t, h)
		impostor := h.Register(t)
		w.refuse(t, nodeCases(w, impostor))
	})
}

// An activation registers as many nodes as it says, however many ask at once.
func TestActivationLimit(t *testing.T) {
	hubtest.Each(t, nil, func(t *testing.T, h *hubtest.Hub) {
		const limit, racers = 3, 20
		store := hubtest.OpenStore(t, h.Store)
		id, secret := h.Activate(t, limit)
		answers := make([]hubtest.Answer, racers)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { _, answers[i] = h.TryRegister(t, id, secret, rand.Text()) })
		}
		wg.Wait()
		registered := 0
		for _, a := range answers {
			switch {
			case a.Status == http.StatusOK:
				registered++
			case a.Code != "RegistrationLimitExceeded":
				t.Errorf("%+v", a)
			}
		}
		if registered != limit {
			t.Errorf("%d nodes were registered with an activation for %d", registered, limit)
		}
		if n := len(store.Rows("select id from node_node")); n != limit {
			t.Errorf("%d nodes", n)
		}
		before := store.Snapshot()
		for _, try := range [][3]string{
			{id, secret, "RegistrationLimitExceeded"}, {id, secret + "x", "InvalidActivation"}, {"00000000-0000-0000-0000-000000000000", secret, "InvalidActivation"},
		} {
			if _, a := h.TryRegister(t, try[0], try[1], rand.Text()); a.Code != try[2] || a.Status != 400 {
				t.Errorf("%+v, want %s", a, try[2])
			}
		}
		h.Must(t, "ssm", "DescribeActivations", nil, nil)
		store.Unchanged(t, before, "registrations that were refused")
		h.Must(t, "ssm", "DeleteActivation", &ssm.DeleteActivationInput{ActivationId: &id}, nil)
		if _, a := h.TryRegister(t, id, secret, rand.Text()); a.Code != "InvalidActivation" {
			t.Errorf("deleted: %+v", a)
		}
	})
}

// Whoever tries many activations is not heard for a while, with the right one neither.
func TestGuessedActivations(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	id, secret := h.Activate(t, 2)
	if _, a := h.TryRegister(t, id, secret, rand.Text()); a.Status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	refused := false
	for range 40 {
		_, a := h.TryRegister(t, id, rand.Text(), rand.Text())
		refused = refused || a.Code == "ThrottlingException"
		if refused != (a.Code == "ThrottlingException") || !refused && a.Code != "InvalidActivation" {
			t.Fatalf("%+v", a)
		}
	}
	if _, a := h.TryRegister(t, id, secret, rand.Text()); !refused || a.Code != "ThrottlingException" {
		t.Errorf("%+v", a)
	}
}
