// Package setting keeps service settings: GetServiceSetting, UpdateServiceSetting
// and ResetServiceSetting. A setting is known by its id, has a default and a set
// of values; one that was never changed has no row.
//
// Other capabilities read a setting by Value, which the composition root hands
// them as a function.
//
// Facts: setting.updated, setting.reset.
package setting
