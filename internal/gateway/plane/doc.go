// Package plane is the hub's part of our own data plane: it stands between the
// link of a client and that of a node, and every frame passes through it.
//
// It decides which streams a session may open, tells of their start and end,
// shows what is typed and written to the recorder, holds input back while a
// second person is awaited, and ends both links with the session. It keeps no
// content: what is lost with a link, or with the hub, the two ends send again
// (see wire/plane). A reader of one link writes to the other one directly, so a
// slow end slows the other down and nothing piles up here.
package plane
