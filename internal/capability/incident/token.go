package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
)

// tokenLife is how long a client token is remembered.
const tokenLife = 7 * 24 * time.Hour

// once runs f unless a call with the same client token has run: then it answers
// what that one did, or a ConflictException when it asked for something else. Two
// such calls at once wait for each other on the token's row.
func (s *Service) once(tx *db.Tx, operation string, token *string, in any, f func() (string, error)) (string, error) {
	if ptr.Value(token) == "" {
		return f()
	}
	sum := sha256.Sum256([]byte(js(in)))
	hash := hex.EncodeToString(sum[:])
	if _, err := tx.Exec(`delete from incident_token where account = $1 and region = '' and at < $2`, tx.Scope.Account, db.Micros(tx.Now.Add(-tokenLife))); err != nil {
		return "", err
	}
	n, err := tx.Exec(`insert into incident_token(account, region, operation, token, hash, result, at) values($1, '', $2, $3, $4, '', $5) on conflict do nothing`,
		tx.Scope.Account, operation, *token, hash, db.Micros(tx.Now))
	if err != nil {
		return "", err
	}
	if n == 0 {
		return earlier(tx, operation, *token, hash)
	}
	result, err := f()
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(`update incident_token set result = $4 where account = $1 and region = '' and operation = $2 and token = $3`, tx.Scope.Account, operation, *token, result)
	return result, err
}

func earlier(tx *db.Tx, operation, token, hash string) (result string, err error) {
	var before string
	err = tx.QueryRow(`select hash, result from incident_token where account = $1 and region = '' and operation = $2 and token = $3`, tx.Scope.Account, operation, token).
		Scan(&before, &result)
	if err == nil && before != hash {
		err = &incidents.ConflictException{Message: "The client token was used for another request"}
	}
	return result, err
}
