package mgs

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Message types on a control channel.
const (
	TypeAgentJob             = "agent_job"              // hub to node
	TypeAgentJobAck          = "agent_job_ack"          // node to hub
	TypeAgentJobReply        = "agent_job_reply"        // node to hub
	TypeAgentJobReplyAck     = "agent_job_reply_ack"    // hub to node
	TypeChannelClosed        = "channel_closed"         // hub to node
	TypeInteractiveShell     = "interactive_shell"      // hub to node
	TypeAgentTaskComplete    = "agent_task_complete"    // node to hub
	TypeAgentTaskAcknowledge = "agent_task_acknowledge" // hub to node
	TypeAgentTelemetry       = "agent_telemetry"        // node to hub, ignored
	TypeAgentUpdateResult    = "agent_update_result"    // node to hub, ignored

	// Our own types, only between the hub and our own agent.
	TypeJobOutput    = "watchbill_job_output"     // node to hub
	TypeJobOutputAck = "watchbill_job_output_ack" // hub to node
)

// Topics of a job. The stock agent looks at the prefix only.
const (
	TopicSendCommand   = "aws.ssm.sendCommand"
	TopicCancelCommand = "aws.ssm.cancelCommand"
)

// Status codes of an AgentJobAck.
const (
	AckOK           = "200"
	AckWorkerClosed = "51401"
	AckBufferFull   = "51402" // the hub sends the job again later
	AckWrongType    = "51403"
	AckBadMessage   = "51404"
	AckDuplicate    = "51405" // the node has it already: as good as AckOK
	AckInvalid      = "51406"
	AckContainer    = "51407"
	AckParseError   = "51408" // a Failed reply follows
	AckOther        = "51499"
)

// Statuses of a document or step in a reply.
const (
	StatusInProgress       = "InProgress"
	StatusSuccess          = "Success"
	StatusFailed           = "Failed"
	StatusTimedOut         = "TimedOut"
	StatusCancelled        = "Cancelled"
	StatusSkipped          = "Skipped"
	StatusSuccessAndReboot = "SuccessAndReboot"
)

// Limits that stock nodes keep and own nodes and the hub must keep too.
const (
	MaxReplyContent = 120_000 // bytes of the JSON in AgentJobReply.Content
	MaxStepText     = 24_000  // characters of StandardOutput and of StandardError in a reply
	MaxStepOutput   = 2_500   // characters of StepStatus.Output
	MaxOutputChunk  = 64 << 10
)

// AgentJob asks the node to run or to cancel a command.
type AgentJob struct {
	Content       string `json:"Content"` // JSON: SendCommand or CancelCommand
	JobID         string `json:"JobId"`   // idempotency key; see JobID
	Topic         string `json:"Topic"`
	SchemaVersion int    `json:"SchemaVersion"` // 1
}

// SendCommand is the content of a job with TopicSendCommand.
type SendCommand struct {
	CommandID               string                     `json:"CommandId"`
	DocumentName            string                     `json:"DocumentName"`
	DocumentContent         json.RawMessage            `json:"DocumentContent"`
	Parameters              map[string]json.RawMessage `json:"Parameters"` // by document type: String a string, StringList a list
	OutputS3BucketName      string                     `json:"OutputS3BucketName"`
	OutputS3KeyPrefix       string                     `json:"OutputS3KeyPrefix"`
	CloudWatchLogGroupName  string                     `json:"CloudWatchLogGroupName"`
	CloudWatchOutputEnabled string                     `json:"CloudWatchOutputEnabled"` // "true" or "false", text
}

// CancelCommand is the content of a job with TopicCancelCommand. The job has
// its own id; it is answered by an ack, and its subject ends by its own reply.
type CancelCommand struct {
	CancelMessageID string `json:"CancelMessageId"` // job id of the command to cancel
}

// AgentJobAck says what the node made of a job.
type AgentJobAck struct {
	JobID                 string `json:"jobId"`
	AcknowledgedMessageID string `json:"acknowledgedMessageId"` // id of the agent_job frame
	CreatedDate           string `json:"createdDate"`
	StatusCode            string `json:"statusCode"`
	ErrorMessage          string `json:"errorMessage"`
}

// AgentJobReply reports progress or the end of a job. Replies come at least
// once, in any order: a finished step or document never moves back.
type AgentJobReply struct {
	SchemaVersion int    `json:"schemaVersion"` // 1
	JobID         string `json:"jobId"`
	Topic         string `json:"topic"`
	Content       string `json:"content"` // JSON: ReplyContent
}

// ReplyContent is the JSON in AgentJobReply.Content. A reply of a document
// with several steps holds one step, the last one none.
type ReplyContent struct {
	AdditionalInfo      AdditionalInfo        `json:"additionalInfo"`
	DocumentStatus      string                `json:"documentStatus"`
	DocumentTraceOutput string                `json:"documentTraceOutput"`
	RuntimeStatus       map[string]StepStatus `json:"runtimeStatus"` // by step name (2.x) or plugin name (1.x)
}

// AdditionalInfo is the part of a reply that describes its sender.
type AdditionalInfo struct {
	Agent               AgentInfo      `json:"agent"`
	DateTime            string         `json:"dateTime"`
	RunID               string         `json:"runId"`
	RuntimeStatusCounts map[string]int `json:"runtimeStatusCounts"`
}

// AgentInfo names the program at the node.
type AgentInfo struct {
	Lang    string `json:"lang"`
	Name    string `json:"name"`
	OS      string `json:"os"`
	OSVer   string `json:"osver"`
	Version string `json:"ver"`
}

// StepStatus is the state of one step. Code is the exit code; 137 for a step
// killed by a timeout or cancel.
type StepStatus struct {
	Status             string `json:"status"`
	Code               int    `json:"code"`
	Name               string `json:"name"`   // plugin, for example aws:runShellScript
	Output             string `json:"output"` // both streams, at most MaxStepOutput
	StartDateTime      string `json:"startDateTime"`
	EndDateTime        string `json:"endDateTime"`
	OutputS3BucketName string `json:"outputS3BucketName"`
	OutputS3KeyPrefix  string `json:"outputS3KeyPrefix"`
	StepName           string `json:"stepName"`
	StandardOutput     string `json:"standardOutput"`
	StandardError      string `json:"standardError"`

	// Signal is the name of the signal that ended the step, as SIGTERM. Our own
	// agent says it; "" otherwise.
	Signal string `json:"signal,omitzero"`
}

// AgentJobReplyAck must follow a reply within a second, else the stock agent
// stores the reply and sends it again minutes later.
type AgentJobReplyAck struct {
	JobID                 string `json:"jobId"`
	AcknowledgedMessageID string `json:"acknowledgedMessageId"` // id of the agent_job_reply frame
}

// ChannelClosed ends a session, or tells a node that its control channel was
// replaced.
type ChannelClosed struct {
	MessageType   string `json:"MessageType"` // "channel_closed"
	MessageID     string `json:"MessageId"`
	DestinationID string `json:"DestinationId"`
	SessionID     string `json:"SessionId"`
	SchemaVersion int    `json:"SchemaVersion"`
	CreatedDate   string `json:"CreatedDate"`
	Output        string `json:"Output"`
}

// JobOutput is a piece of a step's full output, from our own agent. Offset is
// in bytes from the start of the stream; the hub keeps a piece that starts
// where its copy ends, and answers every piece with the length it holds.
type JobOutput struct {
	JobID  string `json:"jobId"`
	Step   string `json:"step"`
	Stream string `json:"stream"` // "stdout" or "stderr"
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`         // base64 in JSON; at most MaxOutputChunk bytes
	End    bool   `json:"end,omitzero"` // the stream ends with this piece, which may be empty
}

// JobOutputAck gives the length of the stream that the hub holds durably; the
// node goes on from there.
type JobOutputAck struct {
	JobID  string `json:"jobId"`
	Step   string `json:"step"`
	Stream string `json:"stream"`
	Length int64  `json:"length"`
	End    bool   `json:"end,omitzero"` // the hub has the whole stream
}

// JobID is the id of the job that runs a command on a node:
// aws.ssm.<command id>.<node id>. It is the same at every sending, which is
// how a node recognizes a second one.
func JobID(commandID, nodeID string) string {
	return "aws.ssm." + commandID + "." + nodeID
}

// ParseJobID takes a job id apart. Error: it has not the form of JobID.
func ParseJobID(id string) (commandID, nodeID string, err error) {
	parts := strings.Split(id, ".")
	if len(parts) != 4 || parts[0] != "aws" || parts[1] != "ssm" || parts[2] == "" || parts[3] == "" {
		return "", "", fmt.Errorf("mgs: bad job id %q", id)
	}
	return parts[2], parts[3], nil
}

// FormatTime is the time format inside payloads: ISO 8601, UTC, milliseconds.
func FormatTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// ParseTime reads a time of a payload; ok is false for an empty or bad one.
func ParseTime(s string) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil
}

// Encode makes a message of a type around the JSON of a payload. The payloads
// of this package always marshal; a frame that grows too large fails in
// Marshal.
func Encode(messageType string, payload any) (*Message, error) {
	b, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("mgs: encode %s: %w", messageType, err)
	}
	return New(messageType, b), nil
}
