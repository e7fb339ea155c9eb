package command

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/task"
)

// ErrNoTopic is what Service.Publish returns for a topic that leads nowhere.
var ErrNoTopic = errors.New("command: the topic is not set up")

const (
	notifyTask  = "command.notify" // publishes a notification
	mostNotices = 10               // attempts at publishing one
)

// notice is a notification to be published: the arguments of its task.
type notice struct {
	Topic     string
	Command   string
	Node      string `json:",omitzero"`
	Status    string
	MessageID string
	Message   json.RawMessage
}

// message is the text of a notification. Source: the example events of Run
// Command in the user guide; invocations have instanceId, commands instanceIds.
type message struct {
	CommandID          string   `json:"commandId"`
	DocumentName       string   `json:"documentName"`
	InstanceID         string   `json:"instanceId,omitzero"`
	InstanceIDs        []string `json:"instanceIds,omitzero"`
	RequestedDateTime  string   `json:"requestedDateTime"`
	ExpiresAfter       string   `json:"expiresAfter,omitzero"`
	OutputS3BucketName string   `json:"outputS3BucketName,omitzero"`
	OutputS3KeyPrefix  string   `json:"outputS3KeyPrefix,omitzero"`
	Status             string   `json:"status"`
	DetailedStatus     string   `json:"detailedStatus"`
	EventTime          string   `json:"eventTime"`
}

// notifies says that the command wants to be told of a status.
func (c *command) notifies(kind ssm.NotificationType, status string) bool {
	n := c.Spec.NotificationConfig
	if n == nil || ptr.Value(n.NotificationArn) == "" || (n.NotificationType == ssm.NotificationTypeInvocation) != (kind == ssm.NotificationTypeInvocation) {
		return false
	}
	told := []string{"InProgress", "Success", "TimedOut", "Cancelled", "Failed"}
	return slices.Contains(told, status) &&
		(slices.Contains(n.NotificationEvents, ssm.NotificationEventAll) || slices.Contains(n.NotificationEvents, ssm.NotificationEvent(status)))
}

const messageTime = "2006-01-02T15:04:05.000Z"

func (c *command) message(tx *db.Tx, status string, d detail) message {
	return message{
		CommandID: c.ID, DocumentName: c.DocumentName, RequestedDateTime: c.Requested.Format(messageTime), ExpiresAfter: c.Expires.Format(messageTime),
		OutputS3BucketName: ptr.Value(c.Spec.OutputS3BucketName), OutputS3KeyPrefix: ptr.Value(c.Spec.OutputS3KeyPrefix),
		Status: status, DetailedStatus: string(d), EventTime: tx.Now.Format(messageTime),
	}
}

// notifyCommand commits to telling of a command's status, if it has changed and
// the command asks for it.
func (s *Service) notifyCommand(tx *db.Tx, c *command, before detail) error {
	status := string(c.Status.commandStatus())
	if status == string(before.commandStatus()) || !c.notifies(ssm.NotificationTypeCommand, status) {
		return nil
	}
	m := c.message(tx, status, c.Status)
	f := scoped(tx).And("command_id = ?", c.ID)
	list, err := listInvocations(tx, f, "node_id", maxRelated)
	if err != nil {
		return err
	}
	for n := range list {
		m.InstanceIDs = append(m.InstanceIDs, list[n].NodeID)
	}
	return s.enqueueNotice(tx, c, m)
}

// notifyInvocation does the same for an invocation.
func (s *Service) notifyInvocation(tx *db.Tx, c *command, i *invocation, before detail) error {
	status := string(i.Status.invocationStatus())
	if status == string(before.invocationStatus()) || !c.notifies(ssm.NotificationTypeInvocation, status) {
		return nil
	}
	m := c.message(tx, status, i.Status)
	m.InstanceID = i.NodeID
	return s.enqueueNotice(tx, c, m)
}

func (s *Service) enqueueNotice(tx *db.Tx, c *command, m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	key := c.ID + "/" + m.InstanceID + "/" + m.Status
	n := notice{
		Topic: *c.Spec.NotificationConfig.NotificationArn, Command: c.ID, Node: m.InstanceID, Status: m.Status,
		MessageID: uuid.NewSHA1(idSpace, []byte("notice\x00"+key)).String(), Message: text,
	}
	return s.Tasks.Enqueue(tx, task.Spec{Kind: notifyTask, Key: key, Args: n})
}

// publish tells of a status, at least once: the message id is the same each
// time.
func (s *Service) publish(ctx context.Context, r *task.Run) error {
	var n notice
	if err := r.Decode(&n); err != nil {
		return err
	}
	err := ErrNoTopic
	if s.Publish != nil {
		err = s.Publish(ctx, n.Topic, n.MessageID, n.Message)
	}
	if err != nil && !errors.Is(err, ErrNoTopic) && r.Attempt < mostNotices {
		return err
	}
	fact := journal.Fact{Kind: "command.notified", Subject: n.Command, Body: map[string]any{"topic": n.Topic, "messageId": n.MessageID, "status": n.Status}}
	if n.Node != "" {
		fact.Related = []string{n.Node}
	}
	if err != nil {
		fact.Kind = "command.notification.failed"
		fact.Body = map[string]any{"topic": n.Topic, "messageId": n.MessageID, "status": n.Status, "why": clean(err.Error(), 500)}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		return errors.Join(s.Journal.Record(tx, fact), r.Done(tx))
	})
}
