package story

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchbill/watchbill/test/hubtest"
)

// A poll that a node has under way does not hold up the end of the hub.
func TestPollEndsWithTheHub(t *testing.T) {
	h := hubtest.Start(t, "", nil)
	n := h.Register(t)
	q := hubtest.JSON("EC2WindowsMessageDeliveryService.GetMessages", `{"Destination":"`+n.ID+`","MessagesRequestId":"r"}`)
	q.Credentials, q.Service = n.Credentials, "ec2messages"
	arrived := make(chan struct{})
	answer := make(chan hubtest.Answer, 1)
	q.Sent = func() { close(arrived) }
	go func() { answer <- h.Send(t, q) }()
	<-arrived
	for range 20 { // by then the hub has read it
		h.Must(t, "ssm", "DescribeParameters", nil, nil)
	}
	began := time.Now()
	h.End(t)
	if a := <-answer; a.Status != http.StatusOK {
		t.Errorf("%+v", a)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the hub ended after %v", took)
	}
}
