// Package iampolicy reads policies in the IAM JSON language and decides
// requests by them. It is pure: no clock, no storage, no identity lookup; the
// caller gives the principal, the action, the resource and the context.
//
// Parsing is strict: exact-case element names, no duplicate keys, nothing
// unknown, every value checked against its operator, errors name line and
// column. Unknown condition keys are accepted with a warning.
//
// A decision is three-valued inside. What cannot be known (an unknown condition
// key, a policy variable without a value, a value that does not parse) never
// lets an Allow apply and always lets a Deny apply.
//
// Language: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
package iampolicy
