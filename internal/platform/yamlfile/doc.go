// Package yamlfile reads the hub's YAML files strictly: fields that are not known
// or given twice are errors, and every error has its line.
package yamlfile
