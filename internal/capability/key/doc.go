// Package key serves the part of AWS KMS that session encryption and SecureString
// parameters need: symmetric keys, their aliases, Encrypt, Decrypt and the data keys.
//
// Key material never leaves the package and lies in the store sealed. A ciphertext is
// of our own form (see crypt.go): it names its key, and opens only under that key, in
// its account and region, with the encryption context that it was made with. A key
// whose deletion is due loses its material, and with it everything under it is gone.
//
// A node may decrypt only with a context that names it as aws:ssm:TargetId; that rule
// is in the table of permissions. The alias alias/aws/ssm has its key made when it is
// first used.
//
// Facts: key.created, key.enabled, key.disabled, key.deletion.scheduled,
// key.deletion.cancelled, key.deleted, key.alias.created, key.alias.updated,
// key.alias.deleted. Tasks: key.delete.
package key
