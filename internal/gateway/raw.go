package gateway

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/lang/text"
	"github.com/watchbill/watchbill/internal/platform/arn"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/fault"
	"github.com/watchbill/watchbill/internal/wire/mgs"
	"github.com/watchbill/watchbill/internal/wire/sigv4"
)

// Raw are the operations that agents call and no model has, by X-Amz-Target.
func (g *Gateway) Raw() map[string]wire.Raw {
	ssm := map[string]wire.Raw{
		"RegisterManagedInstance":         {Anonymous: true, Call: g.register},
		"RequestManagedInstanceRoleToken": {Anonymous: true, Call: g.roleToken},
		"UpdateManagedInstancePublicKey":  {Anonymous: true, Call: g.rotateKey},
		"UpdateInstanceInformation":       {Call: g.information},
		"ListInstanceAssociations":        {Call: g.associations},
		"UpdateInstanceAssociationStatus": {Call: g.ignore},
		"PutConfigurePackageResult":       {Call: g.packageResult},
		"GetManifest":                     {Call: g.manifest},
	}
	out := map[string]wire.Raw{}
	for name, raw := range ssm {
		raw.Service = "ssm"
		out["AmazonSSM."+name] = raw
	}
	for name, raw := range g.messages() {
		raw.Service = "ec2messages"
		out["EC2WindowsMessageDeliveryService."+name] = raw
	}
	return out
}

// decode reads the JSON of an operation.
func decode(body []byte, v any) error {
	if err := mgs.Decode(body, v); err != nil {
		return fault.Serialization("The body cannot be read as the input of the operation.")
	}
	return nil
}

// register answers RegisterManagedInstance, which is not signed: the
// activation code is the proof. Region and ReleaseKeys are our own addition.
func (g *Gateway) register(ctx context.Context, r *http.Request, body []byte) (any, error) {
	if r.Header.Get("Authorization") != "" {
		return nil, fault.Validation("A registration is made with an activation, not with credentials.")
	}
	var in struct {
		ActivationID   string `json:"ActivationId"`
		ActivationCode string
		Fingerprint    string
		PublicKey      string
		PublicKeyType  string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id, err := g.Nodes.Register(ctx, node.Registration{
		ActivationID: in.ActivationID, ActivationCode: in.ActivationCode, Fingerprint: in.Fingerprint, PublicKey: in.PublicKey, PublicKeyType: in.PublicKeyType,
	})
	if err != nil {
		return nil, err
	}
	n, err := g.Nodes.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"InstanceId": id, "Region": n.Scope.Region}
	if g.ReleaseKeys != nil {
		out["ReleaseKeys"] = g.ReleaseKeys()
	}
	return out, nil
}

// roleToken answers RequestManagedInstanceRoleToken. All members of the answer
// must be there: the stock agent reads them unchecked.
func (g *Gateway) roleToken(ctx context.Context, r *http.Request, body []byte) (any, error) {
	var in struct{ Fingerprint string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	var n *node.Node
	var c node.Credentials
	err := g.hold(ctx, func() error {
		known, n2, err := g.byKey(ctx, r, body)
		if err != nil {
			return err
		}
		n = n2
		c, err = g.Nodes.Token(known, n, in.Fingerprint)
		return err
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey, "SessionToken": c.SessionToken,
		"TokenExpirationDate": c.Expires.Unix(), "UpdateKeyPair": g.Nodes.KeyIsOld(n),
	}, nil
}

// rotateKey answers UpdateManagedInstancePublicKey, signed with the old key.
func (g *Gateway) rotateKey(ctx context.Context, r *http.Request, body []byte) (any, error) {
	ctx, n, err := g.byKey(ctx, r, body)
	if err != nil {
		return nil, err
	}
	var in struct{ NewPublicKey, NewPublicKeyType string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return nil, g.Nodes.RotateKey(ctx, n, in.NewPublicKey, in.NewPublicKeyType)
}

// byKey checks a request that a node signed with its RSA key: in the form of
// Signature Version 4, with the node's id as access key and RSASSA-PSS over
// the string to sign. Unknown node and bad signature are the same error.
func (g *Gateway) byKey(ctx context.Context, r *http.Request, body []byte) (context.Context, *node.Node, error) {
	s, err := sigv4.Parse(r)
	if err != nil {
		return nil, nil, err
	}
	if s.Presigned || s.Scope.Service != "ssm" {
		return nil, nil, fault.InvalidSignature("Credential should be scoped to correct service: 'ssm'.")
	}
	if err := s.CheckTime(time.Now()); err != nil {
		return nil, nil, err
	}
	text, err := s.StringToSign(r, body)
	if err != nil {
		return nil, nil, err
	}
	n, err := g.Nodes.Lookup(ctx, s.Scope.AccessKeyID)
	if node.IsUnknown(err) {
		return nil, nil, errSignature
	}
	if err != nil {
		return nil, nil, err
	}
	if n.Scope.Region != s.Scope.Region || !signed(n.PublicKey, text, s.Value) {
		return nil, nil, errSignature
	}
	ctx = db.WithScope(ctx, n.Scope)
	return journal.WithActor(ctx, arn.SSM(n.Scope, "managed-instance/"+n.ID)), n, nil
}

var errSignature = fault.InvalidSignature("The request signature we calculated does not match the signature you provided. Check the key of the node and the signing method.")

// signed checks an RSASSA-PSS signature: SHA-256, salt of 32 bytes.
func signed(publicKey, text, signature string) bool {
	key, err := node.ParsePublicKey(publicKey)
	if err != nil {
		return false
	}
	value, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(text))
	return rsa.VerifyPSS(key, crypto.SHA256, digest[:], value, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}) == nil
}

// self is the node that calls; id is what the input says, which must be the
// same.
func self(ctx context.Context, id string) (string, error) {
	caller := identity.From(ctx).NodeID()
	if caller == "" {
		return "", fault.AccessDenied("Only a managed node may call this operation.")
	}
	if id != caller {
		return "", fault.AccessDenied("A node may speak for itself only.")
	}
	return caller, nil
}

// information answers UpdateInstanceInformation, the health ping.
func (g *Gateway) information(ctx context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		InstanceID                                             string `json:"InstanceId"`
		AgentName, AgentVersion, ComputerName                  string
		IPAddress, PlatformName, PlatformType, PlatformVersion string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id, err := self(ctx, in.InstanceID)
	if err != nil {
		return nil, err
	}
	report := node.Report{
		AgentName: in.AgentName, AgentVersion: in.AgentVersion, ComputerName: in.ComputerName, IPAddress: in.IPAddress,
		PlatformType: in.PlatformType, PlatformName: in.PlatformName, PlatformVersion: in.PlatformVersion,
	}
	return nil, g.hold(ctx, func() error { return g.Nodes.Report(ctx, id, report) })
}

// associations answers ListInstanceAssociations: there are none yet.
func (g *Gateway) associations(ctx context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		InstanceID string `json:"InstanceId"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if _, err := self(ctx, in.InstanceID); err != nil {
		return nil, err
	}
	return map[string]any{"Associations": []any{}}, nil
}

// manifest answers GetManifest: all packages are documents. With this error, and with no
// other, the stock agent goes on to DescribeDocument and GetDocument.
// Seen: docs/observations/2026-11-22-amazon-ssm-agent.md
func (g *Gateway) manifest(ctx context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct{ PackageName, PackageVersion string }
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if _, err := anyNode(ctx); err != nil {
		return nil, err
	}
	return nil, fault.New(http.StatusBadRequest, "ResourceNotFoundException", "The package %q has no manifest; packages are documents.", text.Clip(in.PackageName, 200))
}

// packageResult answers PutConfigurePackageResult: what came of a package on a node.
func (g *Gateway) packageResult(ctx context.Context, _ *http.Request, body []byte) (any, error) {
	var in struct {
		PackageName, PackageVersion, PreviousPackageVersion, Operation string
		Result                                                         int64
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	id, err := anyNode(ctx)
	if err != nil {
		return nil, err
	}
	return nil, g.Nodes.PackageResult(ctx, id, node.PackageResult{
		Name: text.Clip(in.PackageName, 300), Version: text.Clip(in.PackageVersion, 100), Before: text.Clip(in.PreviousPackageVersion, 100),
		Operation: text.Clip(in.Operation, 50), Result: in.Result,
	})
}

// ignore takes a node's report that nobody needs.
func (g *Gateway) ignore(ctx context.Context, _ *http.Request, _ []byte) (any, error) {
	if identity.From(ctx).NodeID() == "" {
		return nil, fault.AccessDenied("Only a managed node may call this operation.")
	}
	return nil, nil
}
