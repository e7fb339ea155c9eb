// Package rollout runs a command over many nodes in waves: first one node, then
// a few, then the rest. After each wave it lets the change bake and runs a
// health check; when either goes wrong it halts by itself, and a person resumes
// it or rolls it back.
//
// The nodes are found and authorized once, when the rollout starts, and put
// into waves, connected ones first. Each wave is an ordinary command, so is
// each health check and each roll back; their ids follow from the rollout's,
// so a crash between the decision and the sending never sends one twice. What a
// rollout does next is decided by a pure machine, kept in the rollout's row.
//
// Facts (subject: the rollout's id): rollout.started, rollout.wave.started,
// rollout.wave.finished, rollout.baking, rollout.halted, rollout.resumed,
// rollout.rollback.started, rollout.finished.
//
// Tasks: rollout.launch (rollout/role/wave) sends a command that was decided,
// rollout.bake (rollout/wave) ends the baking. Subscription rollout.commands
// hears of commands that ended.
package rollout
