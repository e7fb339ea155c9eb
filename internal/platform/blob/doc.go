// Package blob keeps bytes that are too many for a row: outputs of commands,
// recordings, objects of buckets. It knows keys and bytes; what a blob is, who may
// read it and when it goes is its owner's, who keeps a row for it.
//
// A Put that returned is on the disk, with its name, or accepted by the object store;
// one that failed left nothing under the key, or what was there before. Owners write
// a key once and name it in a row afterwards: what no row names is rubbish, and safe
// to delete. Keys are paths of plain parts, so that no driver has to escape them and
// none can leave its place.
package blob
