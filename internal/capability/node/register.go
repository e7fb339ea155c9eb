package node

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// credentialsTTL is how long a node's credentials last.
const credentialsTTL = time.Hour

// The errors of a registration, as the stock agent knows them.
var (
	errActivation  = &ssm.InvalidActivation{Message: "The activation is not valid."}
	errExpired     = fault.NotFound("ActivationExpired", "The activation has expired.")
	errLimit       = fault.NotFound("RegistrationLimitExceeded", "The activation has no registrations left.")
	errPublicKey   = fault.NotFound("InvalidPublicKey", "The public key must be RSA of 2048 bits or more, base64 of DER, PKIX.")
	errFingerprint = fault.NotFound("MachineFingerprintDoesNotMatch", "The fingerprint is not the one that the node was registered with.")
)

// Registration is what a machine sends to become a node.
type Registration struct {
	ActivationID   string
	ActivationCode string
	Fingerprint    string
	PublicKey      string // base64 of DER, PKIX
	PublicKeyType  string // Rsa
}

// Register makes a node and answers its id. The same registration again, by
// key and fingerprint, answers the same id and takes nothing of the limit.
// Errors: InvalidActivation, ActivationExpired, RegistrationLimitExceeded,
// InvalidPublicKey.
func (s *Service) Register(ctx context.Context, r Registration) (id string, err error) {
	if _, err := ParsePublicKey(r.PublicKey); err != nil || r.PublicKeyType != "" && r.PublicKeyType != "Rsa" {
		return "", errPublicKey
	}
	if r.Fingerprint == "" || len(r.Fingerprint) > 256 {
		return "", fault.Validation("Fingerprint must have 1 to 256 characters.")
	}
	var scope db.Scope
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		scope, err = activationScope(tx, r.ActivationID)
		return err
	})
	if err != nil {
		return "", err
	}
	err = s.DB.Update(db.WithScope(ctx, scope), func(tx *db.Tx) error {
		id, err = s.register(tx, r)
		return err
	})
	return id, err
}

func (s *Service) register(tx *db.Tx, r Registration) (string, error) {
	a, err := checkActivation(tx, r.ActivationID, r.ActivationCode)
	if err != nil {
		return "", err
	}
	f := live(tx).And("activation_id = ?", r.ActivationID).And("fingerprint = ?", r.Fingerprint).And("public_key = ?", r.PublicKey)
	known, err := list(tx, f, 1)
	if err != nil {
		return "", err
	}
	if len(known) > 0 {
		return known[0].ID, nil
	}
	if err := a.use(tx); err != nil {
		return "", err
	}
	n := &Node{
		ID: newID(), ActivationID: a.ID, Name: a.DefaultName, IamRole: a.IamRole,
		PublicKey: r.PublicKey, Fingerprint: r.Fingerprint, Registered: tx.Now,
	}
	if err := insertNode(tx, n); err != nil {
		return "", err
	}
	if err := setTags(tx, n.ID, a.Spec.Tags); err != nil {
		return "", err
	}
	return n.ID, s.record(tx, "node.registered", n.ID, map[string]any{"activationId": a.ID, "iamRole": a.IamRole, "name": a.DefaultName})
}

// newID makes a node id: mi- and 17 hex digits.
func newID() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails
	return "mi-" + hex.EncodeToString(b[:])[:17]
}

// ParsePublicKey reads a node's public key. Error: it is not RSA of 2048 to
// 8192 bits.
func ParsePublicKey(s string) (*rsa.PublicKey, error) {
	der, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(der) > 4096 {
		return nil, errPublicKey
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errPublicKey
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok || k.N.BitLen() < 2048 || k.N.BitLen() > 8192 {
		return nil, errPublicKey
	}
	return k, nil
}

// Token gives new credentials to the node of ctx's scope; whoever calls has
// checked the signature with the node's key. Error:
// MachineFingerprintDoesNotMatch.
func (s *Service) Token(ctx context.Context, n *Node, fingerprint string) (Credentials, error) {
	if subtle.ConstantTimeCompare([]byte(n.Fingerprint), []byte(fingerprint)) != 1 {
		return Credentials{}, errFingerprint
	}
	return s.Mint(ctx, n.ID, credentialsTTL)
}

// KeyIsOld says that a node has to make itself a new key.
func (s *Service) KeyIsOld(n *Node) bool {
	return s.KeyAge > 0 && time.Since(n.KeySince) >= s.KeyAge
}

// RotateKey replaces the public key of a node; whoever calls has checked the
// signature with the old one, which is worth nothing afterwards. A repeated
// call with the key that is in force changes nothing.
func (s *Service) RotateKey(ctx context.Context, n *Node, publicKey, keyType string) error {
	if _, err := ParsePublicKey(publicKey); err != nil || keyType != "Rsa" {
		return errPublicKey
	}
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		changed, err := tx.Exec(`update node_node set public_key = $5, key_since = $6 where account = $1 and region = $2 and id = $3 and public_key = $4 and deregistered = 0`,
			tx.Scope.Account, tx.Scope.Region, n.ID, n.PublicKey, publicKey, db.Micros(tx.Now))
		if err != nil {
			return err
		}
		if changed == 0 {
			return fault.AccessDenied("The key that signed the request is not in force any more.")
		}
		return s.record(tx, "node.key.rotated", n.ID, nil)
	})
}

const revokeTask = "node.revoke"

// revoke ends the credentials of a deregistered node.
func (s *Service) revoke(ctx context.Context, r *task.Run) error {
	if s.Revoke == nil {
		return nil
	}
	return s.Revoke(ctx, r.Key)
}
