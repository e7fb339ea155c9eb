package mgs

import (
	"encoding/json"
	"net/url"

	"github.com/google/uuid"
)

// Message types on a data channel. channel_closed travels there too.
const (
	TypeAcknowledge       = "acknowledge"         // both ways
	TypeInputStreamData   = "input_stream_data"   // client to node
	TypeOutputStreamData  = "output_stream_data"  // node to client
	TypeAgentSessionState = "agent_session_state" // node to hub, never forwarded
	TypePausePublication  = "pause_publication"   // hub to node: the client is gone
	TypeStartPublication  = "start_publication"   // hub to node: the client is back
)

// Values in session messages.
const (
	TopicStartSession = "aws.ssm.startSession" // of interactive_shell; nobody reads it

	SessionConnected   = "Connected"   // AgentSessionState.SessionState
	SessionTerminating = "Terminating" // AgentSessionState.SessionState

	TaskSuccess   = "Success"   // AgentTaskComplete.FinalTaskStatus
	TaskFailed    = "Failed"    // AgentTaskComplete.FinalTaskStatus
	TaskTimedOut  = "TimedOut"  // AgentTaskComplete.FinalTaskStatus
	TaskCancelled = "Cancelled" // AgentTaskComplete.FinalTaskStatus

	// MaxStreamData is the longest payload of a stream message that a stock
	// end sends, in bytes.
	MaxStreamData = 1024
)

// SessionTerminated is the text in the answer to CreateDataChannel that stops
// a node from asking again.
const SessionTerminated = "Session is already terminated"

// Payload types of stream messages (Message.PayloadType).
const (
	PayloadOutput             uint32 = 1 // bytes of terminal, command or port, both ways
	PayloadError              uint32 = 2 // unused by stock ends
	PayloadSize               uint32 = 3 // client to node, Size
	PayloadParameter          uint32 = 4 // unused by stock ends
	PayloadHandshakeRequest   uint32 = 5 // node to client, HandshakeRequest
	PayloadHandshakeResponse  uint32 = 6 // client to node, HandshakeResponse
	PayloadHandshakeComplete  uint32 = 7 // node to client, HandshakeComplete
	PayloadEncChallengeReq    uint32 = 8 // node to client, EncChallenge
	PayloadEncChallengeAnswer uint32 = 9 // client to node, EncChallenge
	PayloadFlag               uint32 = 10
	PayloadStdErr             uint32 = 11 // node to client
	PayloadExitCode           uint32 = 12 // node to client, the text of ExitCode
)

// Flags of a PayloadFlag message, four bytes big endian.
const (
	FlagDisconnectToPort   uint32 = 1 // the client's local connection closed
	FlagTerminateSession   uint32 = 2 // the client ends the session
	FlagConnectToPortError uint32 = 3 // the node cannot connect to the port
)

// InteractiveShell opens a session on a node. The node does not acknowledge
// it: its sign of life is CreateDataChannel, or AgentTaskComplete.
type InteractiveShell struct {
	Content       string `json:"Content"` // JSON: StartSession
	TaskID        string `json:"TaskId"`  // the session id
	Topic         string `json:"Topic"`
	SchemaVersion int    `json:"SchemaVersion"`
}

// StartSession is the JSON in InteractiveShell.Content. A parameter is a
// string or a list of strings, by its type in the document.
type StartSession struct {
	DocumentName    string                     `json:"DocumentName"`
	DocumentContent json.RawMessage            `json:"DocumentContent"`
	SessionID       string                     `json:"SessionId"`
	Parameters      map[string]json.RawMessage `json:"Parameters"`
	RunAsUser       string                     `json:"RunAsUser"`       // wins over inputs.runAsDefaultUser
	SessionOwner    string                     `json:"SessionOwner"`    // ARN
	Plane           int                        `json:"Plane,omitempty"` // version of our own data plane, 0 for the stock one
}

// AgentTaskComplete ends a session from the node's side. It is repeated until
// it is acknowledged; the hub takes a second one for the first.
type AgentTaskComplete struct {
	SchemaVersion    int    `json:"SchemaVersion"` // 1
	TaskID           string `json:"TaskId"`        // the session id
	Topic            string `json:"Topic"`         // TypeAgentTaskComplete
	FinalTaskStatus  string `json:"FinalTaskStatus"`
	IsRoutingFailure bool   `json:"IsRoutingFailure"`
	AwsAccountID     string `json:"AwsAccountId"`
	InstanceID       string `json:"InstanceId"`
	Output           string `json:"Output"` // error text, "" for an ordinary end
	S3Bucket         string `json:"S3Bucket"`
	S3UrlSuffix      string `json:"S3UrlSuffix"`
	CwlGroup         string `json:"CwlGroup"`
	CwlStream        string `json:"CwlStream"`
	RetryNumber      int    `json:"RetryNumber"`
}

// AgentTaskAcknowledge answers AgentTaskComplete.
type AgentTaskAcknowledge struct {
	SchemaVersion int    `json:"SchemaVersion"` // 1
	MessageID     string `json:"MessageId"`     // id of the agent_task_complete frame
	TaskID        string `json:"TaskId"`
	Topic         string `json:"Topic"`
}

// AgentSessionState tells the hub that the node's end is there, or leaves.
type AgentSessionState struct {
	SchemaVersion int    `json:"SchemaVersion"` // 1
	SessionState  string `json:"SessionState"`
	SessionID     string `json:"SessionId"`
}

// OpenDataChannel is the first message on a data channel, a TEXT frame of
// JSON. There is no answer. A node gives ClientInstanceID and no ClientID, a
// client ClientVersion and a ClientID that it keeps when it resumes.
type OpenDataChannel struct {
	MessageSchemaVersion string `json:"MessageSchemaVersion"`
	RequestID            string `json:"RequestId"`
	TokenValue           string `json:"TokenValue"`
	ClientInstanceID     string `json:"ClientInstanceId,omitempty"`
	ClientID             string `json:"ClientId"`
	ClientVersion        string `json:"ClientVersion,omitempty"`
}

// Acknowledge answers a stream message. Its frame has FlagACK, sequence 0 and
// no payload type.
type Acknowledge struct {
	MessageType         string `json:"AcknowledgedMessageType"`
	MessageID           string `json:"AcknowledgedMessageId"`
	SequenceNumber      int64  `json:"AcknowledgedMessageSequenceNumber"`
	IsSequentialMessage bool   `json:"IsSequentialMessage"` // always true
}

// NewAcknowledge makes the acknowledgement of a stream message.
func NewAcknowledge(m *Message) (*Message, error) {
	ack, err := Encode(TypeAcknowledge, Acknowledge{
		MessageType: m.Type, MessageID: m.ID.String(), SequenceNumber: m.Sequence, IsSequentialMessage: true,
	})
	if err != nil {
		return nil, err
	}
	ack.Flags = FlagACK
	return ack, nil
}

// NewStreamData makes a stream message with the flag that stock ends set on
// the first one.
func NewStreamData(messageType string, sequence int64, payloadType uint32, payload []byte) *Message {
	m := New(messageType, payload)
	m.Sequence, m.PayloadType = sequence, payloadType
	if sequence == 0 {
		m.Flags = FlagSYN
	}
	return m
}

// NewSessionState makes the frame that tells the hub about the node's end.
func NewSessionState(state, sessionID string) (*Message, error) {
	m, err := Encode(TypeAgentSessionState, AgentSessionState{SchemaVersion: 1, SessionState: state, SessionID: sessionID})
	if err != nil {
		return nil, err
	}
	m.Flags = FlagACK
	return m, nil
}

// NewTaskAcknowledge answers the frame of an AgentTaskComplete.
func NewTaskAcknowledge(frame uuid.UUID, taskID string) (*Message, error) {
	return Encode(TypeAgentTaskAcknowledge, AgentTaskAcknowledge{
		SchemaVersion: 1, MessageID: frame.String(), TaskID: taskID, Topic: TypeAgentTaskAcknowledge,
	})
}

// Size is the size of the client's terminal, in characters.
type Size struct {
	Cols uint32 `json:"cols"`
	Rows uint32 `json:"rows"`
}

// Kinds of action in a handshake.
const (
	ActionSessionType   = "SessionType"
	ActionKMSEncryption = "KMSEncryption"
)

// What a client made of an action (ProcessedAction.ActionStatus).
const (
	ActionSuccess     = 1
	ActionFailed      = 2
	ActionUnsupported = 3
)

// HandshakeRequest asks the client to prepare for the kind of session. The
// versions that a handshake exchanges decide what either end may use.
type HandshakeRequest struct {
	AgentVersion           string            `json:"AgentVersion"`
	RequestedClientActions []RequestedAction `json:"RequestedClientActions"`
}

// RequestedAction is one action with its parameters: SessionTypeRequest or
// KMSEncryptionRequest, by ActionType.
type RequestedAction struct {
	ActionType       string          `json:"ActionType"`
	ActionParameters json.RawMessage `json:"ActionParameters"`
}

// SessionTypeRequest names the kind of session. Properties are those of the
// document, parameters filled in, for a Port session and nil for the others.
type SessionTypeRequest struct {
	SessionType string          `json:"SessionType"`
	Properties  json.RawMessage `json:"Properties"`
}

// KMSEncryptionRequest asks the client for a data key.
type KMSEncryptionRequest struct {
	KMSKeyID  string `json:"KMSKeyId"`
	Challenge []byte `json:"Challenge,omitempty"` // 16 random bytes, base64 in JSON
}

// HandshakeResponse is the client's answer.
type HandshakeResponse struct {
	ClientVersion          string            `json:"ClientVersion"`
	ProcessedClientActions []ProcessedAction `json:"ProcessedClientActions"`
	Errors                 []string          `json:"Errors"`
}

// ProcessedAction is the result of one action; ActionResult is a
// KMSEncryptionResponse for ActionKMSEncryption and null for the other.
type ProcessedAction struct {
	ActionType   string          `json:"ActionType"`
	ActionStatus int             `json:"ActionStatus"`
	ActionResult json.RawMessage `json:"ActionResult"`
	Error        string          `json:"Error"`
}

// KMSEncryptionResponse holds the data key, encrypted by the key service.
// With ChallengeAcknowledgement the encryption context of the data key holds
// the challenge too.
type KMSEncryptionResponse struct {
	KMSCipherTextKey         []byte `json:"KMSCipherTextKey"`
	KMSCipherTextHash        []byte `json:"KMSCipherTextHash"`
	ChallengeAcknowledgement bool   `json:"ChallengeAcknowledgement,omitempty"`
}

// HandshakeComplete ends a handshake.
type HandshakeComplete struct {
	HandshakeTimeToComplete int64  `json:"HandshakeTimeToComplete"` // nanoseconds
	CustomerMessage         string `json:"CustomerMessage"`         // the client prints it
}

// EncChallenge proves that both ends hold the same keys: 64 random bytes
// under the key of the sender's direction, base64 in JSON.
type EncChallenge struct {
	Challenge []byte `json:"Challenge"`
}

// DataChannelPath is the address of a session's data channel at the hub: of
// the POST for its token, and with DataChannelQuery of its WebSocket.
func DataChannelPath(sessionID string) string {
	return "/v1/data-channel/" + url.PathEscape(sessionID)
}

// DataChannelQuery is the query of a data channel's WebSocket.
const DataChannelQuery = "?role=publish_subscribe"
