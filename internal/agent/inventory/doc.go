// Package inventory is the plug-in aws:softwareInventory: it collects what is
// installed on a machine, its network, its hardware, chosen files and what
// operators put into a directory, in the types of AWS's inventory schema, and
// sends it to the hub. Lists are read from the databases of the package
// managers; only rpm's needs its program. A type that has not changed since it
// was sent goes as its hash alone.
package inventory
