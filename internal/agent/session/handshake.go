package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/wire/mgs"
)

// Waits of a handshake. The client may come later than the node; a stock agent
// gives it 15 seconds.
const (
	clientWait = 60 * time.Second
	answerWait = 15 * time.Second
)

// handshake prepares the client for the session.
func (s *session) handshake(properties json.RawMessage) error {
	began := time.Now()
	ask, challenge, err := s.handshakeRequest(properties)
	if err != nil {
		return err
	}
	if err := s.say(mgs.PayloadHandshakeRequest, ask); err != nil {
		return err
	}
	var answer mgs.HandshakeResponse
	if err := s.hear(mgs.PayloadHandshakeResponse, clientWait, &answer); err != nil {
		return fmt.Errorf("handshake with the client: %w", err)
	}
	s.client = answer.ClientVersion
	done := mgs.HandshakeComplete{}
	if err := s.processed(answer, challenge); err != nil {
		return err
	}
	if s.inputs.KMSKeyID != "" {
		done.CustomerMessage = "This session is encrypted using AWS KMS."
	}
	done.HandshakeTimeToComplete = int64(time.Since(began))
	return s.say(mgs.PayloadHandshakeComplete, done)
}

// handshakeRequest is what the client must do, and the challenge in it.
func (s *session) handshakeRequest(properties json.RawMessage) (*mgs.HandshakeRequest, []byte, error) {
	ask := &mgs.HandshakeRequest{AgentVersion: agentVersion}
	if err := addAction(ask, mgs.ActionSessionType, mgs.SessionTypeRequest{SessionType: s.kind, Properties: properties}); err != nil {
		return nil, nil, err
	}
	if s.inputs.KMSKeyID == "" {
		return ask, nil, nil
	}
	challenge := make([]byte, 16)
	_, _ = rand.Read(challenge)
	return ask, challenge, addAction(ask, mgs.ActionKMSEncryption, mgs.KMSEncryptionRequest{KMSKeyID: s.inputs.KMSKeyID, Challenge: challenge})
}

func addAction(ask *mgs.HandshakeRequest, kind string, parameters any) error {
	b, err := json.Marshal(parameters)
	if err != nil {
		return err
	}
	ask.RequestedClientActions = append(ask.RequestedClientActions, mgs.RequestedAction{ActionType: kind, ActionParameters: b})
	return nil
}

// processed looks at what the client has done, and starts the encryption.
func (s *session) processed(answer mgs.HandshakeResponse, challenge []byte) error {
	done := map[string]mgs.ProcessedAction{}
	for _, a := range answer.ProcessedClientActions {
		if a.ActionStatus != mgs.ActionSuccess {
			return fmt.Errorf("the client cannot do %s: %s", a.ActionType, a.Error)
		}
		done[a.ActionType] = a
	}
	if _, ok := done[mgs.ActionSessionType]; !ok {
		return errors.New("the client has not answered for the session type")
	}
	if s.inputs.KMSKeyID == "" {
		return nil
	}
	a, ok := done[mgs.ActionKMSEncryption]
	if !ok {
		return errors.New("the client does not encrypt the session")
	}
	var key mgs.KMSEncryptionResponse
	if err := mgs.Decode(a.ActionResult, &key); err != nil {
		return fmt.Errorf("the data key of the client: %w", err)
	}
	return s.encrypt(key, challenge)
}

// encrypt gets the data key and makes sure that both ends have it.
func (s *session) encrypt(key mgs.KMSEncryptionResponse, challenge []byte) error {
	about := map[string]string{"aws:ssm:SessionId": s.id, "aws:ssm:TargetId": s.NodeID}
	if key.ChallengeAcknowledgement {
		about["aws:ssm:RandomChallenge"] = base64.StdEncoding.EncodeToString(challenge)
	}
	plain, err := s.Decrypt(s.ctx, s.inputs.KMSKeyID, key.KMSCipherTextKey, about)
	if err != nil {
		return fmt.Errorf("the data key cannot be decrypted: %w", err)
	}
	c, err := newCrypt(plain)
	if err != nil {
		return err
	}
	proof := make([]byte, 64)
	_, _ = rand.Read(proof)
	if err := s.say(mgs.PayloadEncChallengeReq, mgs.EncChallenge{Challenge: c.seal(proof)}); err != nil {
		return err
	}
	var answer mgs.EncChallenge
	if err := s.hear(mgs.PayloadEncChallengeAnswer, answerWait, &answer); err != nil {
		return fmt.Errorf("encryption challenge: %w", err)
	}
	got, err := c.open(answer.Challenge)
	if err != nil || subtle.ConstantTimeCompare(got, proof) != 1 {
		return errors.New("the client has not the same encryption keys")
	}
	s.link.encrypt(c)
	return nil
}

// say sends a JSON message of a type to the client.
func (s *session) say(payloadType uint32, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.link.whole(payloadType, b)
}

// whole queues a message that must not be cut.
func (l *link) whole(payloadType uint32, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue(payloadType, payload)
}

// hear waits for the client's message of a type; others before it are not for
// a handshake and are dropped.
func (s *session) hear(payloadType uint32, wait time.Duration, v any) error {
	ctx, cancel := context.WithTimeoutCause(s.ctx, wait, errors.New("the client does not answer"))
	defer cancel()
	for {
		m, err := s.link.inbox.take(ctx)
		if err != nil {
			return context.Cause(ctx)
		}
		if m.PayloadType == payloadType {
			return mgs.Decode(m.Payload, v)
		}
	}
}

func flagOf(m *mgs.Message) uint32 {
	if len(m.Payload) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(m.Payload)
}

func flagBytes(flag uint32) []byte { return binary.BigEndian.AppendUint32(nil, flag) }

// newer says whether a version of four numbers is above another one; what is
// no version is not.
func newer(version, than string) bool {
	a, b := strings.Split(version, "."), strings.Split(than, ".")
	for i := range min(len(a), len(b)) {
		x, err := strconv.Atoi(a[i])
		if err != nil {
			return false
		}
		if y, _ := strconv.Atoi(b[i]); x != y {
			return x > y
		}
	}
	return len(a) > len(b)
}
