// Package parameter is the Parameter Store: PutParameter, GetParameter,
// GetParameters, GetParametersByPath, GetParameterHistory, DescribeParameters,
// DeleteParameter, DeleteParameters, LabelParameterVersion and
// UnlabelParameterVersion.
//
// A parameter is one row with its newest version, so that reading it costs one
// indexed read, and one row for each of its versions, at most 100. Values of
// SecureString are sealed with the account, region, name and version as
// associated data and are in no other column. Tags belong to platform/tagging,
// keys to platform/seal, resource policies to capability policy.
//
// Policies are timers: one task parameter.policy each, which acts when the
// parameter's row says that it is due.
//
// Facts: parameter.put (operation Create or Update), parameter.deleted,
// parameter.labeled, parameter.unlabeled, parameter.expired, parameter.expiring,
// parameter.unchanged. None holds a value.
package parameter
