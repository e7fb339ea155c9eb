// Package compliance keeps what was found to be in order on nodes and what not:
// PutComplianceItems, ListComplianceItems, ListComplianceSummaries and
// ListResourceComplianceSummaries.
//
// A resource has one list of items for each compliance type. A complete upload
// replaces it, a partial one replaces the items with the same ids and adds the others;
// one with the hash that is kept changes nothing. Patch and association results come
// through the same door.
//
// Facts: compliance.updated, with the counts, when the status of a resource changed.
package compliance
