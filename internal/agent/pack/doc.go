// Package pack is the plug-in aws:configurePackage: it installs and removes
// packages that the hub keeps as documents of type Package. The document's
// manifest names an archive for the platform and its SHA-256; the archive
// holds install.sh, uninstall.sh and perhaps update.sh, which do the work.
// What is installed is kept on the node.
package pack
