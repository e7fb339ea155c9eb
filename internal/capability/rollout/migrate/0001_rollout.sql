create table rollout_rollout(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	request {text} not null,
	status {text} not null,
	requested bigint not null,
	requested_by {text} not null,
	ended bigint not null,
	version bigint not null,
	state {json} not null,
	spec {json} not null,
	orders {blob} not null,
	primary key(account, region, id));
create index rollout_rollout_requested on rollout_rollout(account, region, requested, id);
create table rollout_target(
	account {text} not null,
	region {text} not null,
	rollout_id {text} not null,
	node_id {text} not null,
	wave bigint not null,
	position bigint not null,
	details {text} not null,
	why {text} not null,
	primary key(account, region, rollout_id, node_id));
create index rollout_target_wave on rollout_target(account, region, rollout_id, wave, position);
create table rollout_command(
	account {text} not null,
	region {text} not null,
	command_id {text} not null,
	rollout_id {text} not null,
	role {text} not null,
	wave bigint not null,
	primary key(account, region, command_id));
