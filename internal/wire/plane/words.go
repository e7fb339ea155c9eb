package plane

import "time"

// Hello is the first message of a client or a node on a link, as text.
type Hello struct {
	TokenValue string // single use, of the session and the side
	Plane      int    // the version of the protocol: 1
}

// Welcome answers it. After one with an Error the link is closed.
type Welcome struct {
	Error string `json:",omitempty"` // why not
	Over  bool   `json:",omitempty"` // trying again is of no use
	Peer  bool   `json:",omitempty"` // the other end is there
}

// What a stream is for.
const (
	Shell = "shell" // a terminal, or the document's commands in one
	Exec  = "exec"  // the document's commands without a terminal
	TCP   = "tcp"   // a connection from the node to Host and Port
	Get   = "get"   // a file of the node
	Put   = "put"   // a file for the node
	List  = "list"  // the files below a directory of the node
)

// Open describes the stream that a client wants.
type Open struct {
	Kind string

	Term       string `json:",omitempty"` // Shell: the kind of terminal
	Cols, Rows uint16 `json:",omitempty"`

	Host string `json:",omitempty"` // TCP
	Port int    `json:",omitempty"`

	Path   string    `json:",omitempty"` // Get, Put, List
	Dir    bool      `json:",omitempty"` // Put: make a directory, nothing else is sent
	Mode   uint32    `json:",omitempty"` // Put: permission bits
	Time   time.Time `json:",omitzero"`  // Put: of the last change
	Size   int64     `json:",omitempty"` // Put: of the whole file
	Offset int64     `json:",omitempty"` // Get: how much the client has already; Put: -1 to begin anew
	SHA256 string    `json:",omitempty"` // Get: of that much
}

// Opened is the node's answer. A stream with an Error is over.
type Opened struct {
	Error string `json:",omitempty"`

	Path   string    `json:",omitempty"` // Get, Put: the file in the end
	Dir    bool      `json:",omitempty"` // Get, Put: the path is a directory, nothing else is set
	Mode   uint32    `json:",omitempty"`
	Time   time.Time `json:",omitzero"`
	Size   int64     `json:",omitempty"`
	Offset int64     `json:",omitempty"` // where the data begins
}

// Exit ends what the node sends.
type Exit struct {
	Code   int    `json:",omitempty"` // of a process; with a signal 128 and its number
	Signal string `json:",omitempty"` // what ended the process, such as TERM
	Error  string `json:",omitempty"` // what failed
	Size   int64  `json:",omitempty"` // of the file that was copied
	SHA256 string `json:",omitempty"`
}

// Sync names a stream again after a link was lost.
type Sync struct {
	Acked uint64 // the last frame of the client's that the node has acknowledged
	Open  Open
}

// End says why a session is over.
type End struct{ Cause string }

// Entry is a line of JSON in the data of a List.
type Entry struct {
	Path   string // below the directory, with slashes; "." is itself
	Dir    bool   `json:",omitempty"`
	Link   string `json:",omitempty"` // where a symbolic link points; it is not followed
	Mode   uint32
	Time   time.Time `json:",omitzero"`
	Size   int64     `json:",omitempty"`
	Failed string    `json:",omitempty"` // why it cannot be read
}
