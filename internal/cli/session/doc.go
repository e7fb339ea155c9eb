// Package session is what people do with the sessions of others: list them, watch
// them, join them and end them, all of it through the public API and its
// extensions.
package session
