package mgs

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
)

// MessageSchemaVersion is the version of the bodies that open a channel.
const MessageSchemaVersion = "1.0"

// OwnAgent is the AgentName with which our own agent opens its channel.
const OwnAgent = "watchbill-agent"

// ChannelRequest is the JSON body of the POST that asks for a channel token.
type ChannelRequest struct {
	MessageSchemaVersion string `json:"MessageSchemaVersion"`
	RequestID            string `json:"RequestId"`
	ClientID             string `json:"ClientId,omitempty"`
}

// ChannelToken is the answer, with status 201.
type ChannelToken struct {
	XMLName              xml.Name
	MessageSchemaVersion string `xml:"MessageSchemaVersion"`
	TokenValue           string `xml:"TokenValue"`
}

// MarshalToken gives the XML answer of an operation (CreateControlChannel,
// CreateDataChannel) that hands out a token.
func MarshalToken(operation, token string) []byte {
	b, err := xml.Marshal(ChannelToken{XMLName: xml.Name{Local: operation + "Response"}, MessageSchemaVersion: MessageSchemaVersion, TokenValue: token})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return b
}

// UnmarshalToken reads the XML answer. Error: bad XML, or no token in it.
func UnmarshalToken(b []byte) (string, error) {
	var t ChannelToken
	if err := xml.Unmarshal(b, &t); err != nil {
		return "", fmt.Errorf("mgs: channel token: %w", err)
	}
	if t.TokenValue == "" {
		return "", fmt.Errorf("mgs: channel token: none in the answer")
	}
	return t.TokenValue, nil
}

// OpenControlChannel is the first message on a control channel, a TEXT frame
// of JSON. There is no answer. Cookie is null from the stock agent; AgentName
// is set by our own agent only.
type OpenControlChannel struct {
	Cookie               json.RawMessage `json:"Cookie,omitempty"`
	MessageSchemaVersion string          `json:"MessageSchemaVersion"`
	RequestID            string          `json:"RequestId"`
	TokenValue           string          `json:"TokenValue"`
	AgentVersion         string          `json:"AgentVersion"`
	PlatformType         string          `json:"PlatformType"`
	AgentName            string          `json:"AgentName,omitempty"`
}
