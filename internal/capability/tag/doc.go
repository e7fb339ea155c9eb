// Package tag serves AddTagsToResource, RemoveTagsFromResource and
// ListTagsForResource of ssm, for every kind that a capability has registered
// with platform/tagging, which keeps the tags.
//
// Facts: tags.added, tags.removed, with the tags.
package tag
