package key

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/wire/fault"
)

// usable refuses a key that is disabled or waits for its deletion.
func usable(k *row) error {
	switch k.state() {
	case kms.KeyStateEnabled:
		return nil
	case kms.KeyStateDisabled:
		return &kms.DisabledException{Message: k.arn() + " is disabled."}
	}
	return &kms.KMSInvalidStateException{Message: k.arn() + " is pending deletion."}
}

// seal encrypts under a key, whatever the length.
func (s *Service) seal(ctx context.Context, k *row, context map[string]string, plaintext []byte) ([]byte, error) {
	if err := usable(k); err != nil {
		return nil, err
	}
	id, err := uuid.Parse(k.id)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", k.id, err)
	}
	material, err := s.Sealer.Open(ctx, k.material, k.place())
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", k.id, err)
	}
	return encrypt(material, id, k.place(), context, plaintext)
}

// open decrypts under a key.
func (s *Service) open(ctx context.Context, k *row, context map[string]string, ciphertext []byte) ([]byte, error) {
	if err := usable(k); err != nil {
		return nil, err
	}
	material, err := s.Sealer.Open(ctx, k.material, k.place())
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", k.id, err)
	}
	plain, err := decrypt(material, k.place(), context, ciphertext)
	if errors.Is(err, errCiphertext) {
		return nil, &kms.InvalidCiphertextException{}
	}
	return plain, err
}

// ciphertextKey is the key that a ciphertext names. An unknown one and a text that is
// no ciphertext are the same error.
func (s *Service) ciphertextKey(ctx context.Context, ciphertext []byte) (k *row, err error) {
	id, ok := keyOf(ciphertext)
	if !ok {
		return nil, &kms.InvalidCiphertextException{}
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		k, err = load(tx, id, "")
		return err
	})
	if err == nil && k == nil {
		err = &kms.InvalidCiphertextException{}
	}
	return k, err
}

// Reveal decrypts for the hub itself, in the scope of ctx, without asking for a right:
// the data keys of encrypted sessions, which are recorded. The context is the
// encryption context that the ciphertext was made with.
func (s *Service) Reveal(ctx context.Context, ciphertext []byte, context map[string]string) ([]byte, error) {
	k, err := s.ciphertextKey(ctx, ciphertext)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, k, context, ciphertext)
}

// dryRun is the answer of a call that would have gone well.
func dryRun(asked *bool) error {
	if ptr.Value(asked) {
		return &kms.DryRunOperationException{Message: "The request would have succeeded, but the DryRun option is set."}
	}
	return nil
}

func algorithm(a kms.EncryptionAlgorithmSpec) error {
	if a != "" && a != kms.EncryptionAlgorithmSpecSymmetricDefault {
		return &kms.InvalidKeyUsageException{Message: "The algorithm of a symmetric key is SYMMETRIC_DEFAULT."}
	}
	return nil
}

// enclave refuses answers for Nitro enclaves.
func enclave(r *kms.RecipientInfo) error {
	if r != nil {
		return &kms.UnsupportedOperationException{Message: "Recipient is not supported."}
	}
	return nil
}

// Encrypt encrypts up to 4,096 bytes.
func (s *Service) Encrypt(ctx context.Context, in *kms.EncryptInput) (*kms.EncryptOutput, error) {
	k, err := s.may(ctx, "kms:Encrypt", *in.KeyId)
	if err = errors.Join(err, algorithm(in.EncryptionAlgorithm)); err != nil {
		return nil, err
	}
	sealed, err := s.seal(ctx, k, in.EncryptionContext, in.Plaintext)
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, err
	}
	return &kms.EncryptOutput{CiphertextBlob: sealed, KeyId: new(k.arn()), EncryptionAlgorithm: kms.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

// Decrypt opens a ciphertext of Encrypt or of a data key. A node opens the data keys of
// its sessions only: the table decides that it is the target that the context names.
func (s *Service) Decrypt(ctx context.Context, in *kms.DecryptInput) (*kms.DecryptOutput, error) {
	if err := errors.Join(algorithm(in.EncryptionAlgorithm), enclave(in.Recipient)); err != nil {
		return nil, err
	}
	k, err := s.ciphertextKey(ctx, in.CiphertextBlob)
	if err != nil {
		return nil, err
	}
	if err := s.mayDecrypt(ctx, k, in.EncryptionContext); err != nil {
		return nil, err
	}
	if err := s.named(ctx, in.KeyId, k); err != nil {
		return nil, err
	}
	plain, err := s.open(ctx, k, in.EncryptionContext, in.CiphertextBlob)
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, err
	}
	return &kms.DecryptOutput{Plaintext: plain, KeyId: new(k.arn()), EncryptionAlgorithm: kms.EncryptionAlgorithmSpecSymmetricDefault}, nil
}

func (s *Service) mayDecrypt(ctx context.Context, k *row, context map[string]string) error {
	node := identity.From(ctx).NodeID()
	if node == "" {
		return s.Allow(ctx, "kms:Decrypt", k.arn())
	}
	if s.Session != nil {
		if its, err := s.Session(ctx, node, context["aws:ssm:SessionId"]); err != nil || its {
			return err
		}
	}
	return fault.AccessDenied("The node %s is not authorized to perform kms:Decrypt: the encryption context names no session of its own that goes on.", node)
}

// named refuses a ciphertext of another key than the caller names.
func (s *Service) named(ctx context.Context, keyID *string, k *row) error {
	if keyID == nil {
		return nil
	}
	named, err := s.find(ctx, *keyID)
	switch {
	case err != nil:
		return err
	case named == nil:
		return notFound(*keyID)
	case named.id != k.id:
		return &kms.IncorrectKeyException{Message: "The key ID in the request does not identify a CMK that can perform this operation."}
	}
	return nil
}

// dataKey makes random bytes and their ciphertext.
func (s *Service) dataKey(ctx context.Context, action, keyID string, spec kms.DataKeySpec, bytes *int32, context map[string]string) (plain, sealed []byte, arn string, err error) {
	k, err := s.may(ctx, action, keyID)
	if err != nil {
		return nil, nil, "", err
	}
	n := int(ptr.Value(bytes))
	switch {
	case (spec == "") == (bytes == nil):
		return nil, nil, "", fault.Validation("Please specify either number of bytes or key spec.")
	case spec == kms.DataKeySpecAes256:
		n = 32
	case spec == kms.DataKeySpecAes128:
		n = 16
	}
	plain = make([]byte, n)
	_, _ = rand.Read(plain) // never fails
	sealed, err = s.seal(ctx, k, context, plain)
	return plain, sealed, k.arn(), err
}

// GenerateDataKey makes a key and gives it out in plain and encrypted.
func (s *Service) GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput) (*kms.GenerateDataKeyOutput, error) {
	if err := enclave(in.Recipient); err != nil {
		return nil, err
	}
	plain, sealed, arn, err := s.dataKey(ctx, "kms:GenerateDataKey", *in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext)
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyOutput{Plaintext: plain, CiphertextBlob: sealed, KeyId: new(arn)}, nil
}

// GenerateDataKeyWithoutPlaintext makes a key and gives it out encrypted only.
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput) (*kms.GenerateDataKeyWithoutPlaintextOutput, error) {
	_, sealed, arn, err := s.dataKey(ctx, "kms:GenerateDataKeyWithoutPlaintext", *in.KeyId, in.KeySpec, in.NumberOfBytes, in.EncryptionContext)
	if err == nil {
		err = dryRun(in.DryRun)
	}
	if err != nil {
		return nil, err
	}
	return &kms.GenerateDataKeyWithoutPlaintextOutput{CiphertextBlob: sealed, KeyId: new(arn)}, nil
}

// GenerateRandom gives out random bytes.
func (s *Service) GenerateRandom(_ context.Context, in *kms.GenerateRandomInput) (*kms.GenerateRandomOutput, error) {
	if in.CustomKeyStoreId != nil {
		return nil, &kms.UnsupportedOperationException{Message: "Custom key stores are not supported."}
	}
	if err := enclave(in.Recipient); err != nil {
		return nil, err
	}
	if in.NumberOfBytes == nil {
		return nil, fault.Validation("Please specify the number of bytes.")
	}
	plain := make([]byte, *in.NumberOfBytes)
	_, _ = rand.Read(plain) // never fails
	return &kms.GenerateRandomOutput{Plaintext: plain}, nil
}
