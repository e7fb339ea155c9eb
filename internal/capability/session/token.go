package session

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/watchbill/watchbill/internal/platform/db"
)

// Sides of a session that a token is for.
const (
	nodeSide   = "node"
	clientSide = "client"
)

// tokenTTL is how long a token is good for its first and only use.
const tokenTTL = time.Minute

// newToken is 256 random bits as text.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// putToken keeps a token for a side, or for a person who joined. An earlier one
// for the same is worth nothing any more.
func putToken(tx *db.Tx, id, side, person, token string) error {
	f := scoped(tx).And("session_id = ?", id).And("side = ?", side).And("person_id = ?", person)
	if _, err := tx.Exec("delete from session_token"+f.Where(), f.Args...); err != nil {
		return err
	}
	_, err := tx.Exec("insert into session_token(account, region, session_id, hash, side, person_id, expires) values($1, $2, $3, $4, $5, $6, $7)",
		tx.Scope.Account, tx.Scope.Region, id, hashToken(token), side, person, db.Micros(tx.Now.Add(tokenTTL)))
	return err
}

// useToken takes a token, once, and answers the person it was for, "" for the
// owner and for the node. One that has expired is good in a session that is over: its
// client hears of the end, and gets nothing else. Error: ErrToken.
func useToken(tx *db.Tx, r *row, side, token string) (person string, err error) {
	f := scoped(tx).And("session_id = ?", r.ID).And("side = ?", side).And("hash = ?", hashToken(token))
	if !closing(r.Status) {
		f.And("expires > ?", db.Micros(tx.Now))
	}
	err = tx.QueryRow("select person_id from session_token"+f.Where()+" {lock}", f.Args...).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrToken
	}
	if err != nil {
		return "", err
	}
	n, err := tx.Exec("delete from session_token"+f.Where(), f.Args...)
	if err == nil && n == 0 {
		err = ErrToken
	}
	return person, err
}

// dropNodeTokens takes away the tokens of the node's end. Those of clients stay: a
// client that comes after the end is told of it.
func dropNodeTokens(tx *db.Tx, id string) error {
	f := scoped(tx).And("session_id = ?", id).And("side = ?", nodeSide)
	_, err := tx.Exec("delete from session_token"+f.Where(), f.Args...)
	return err
}
