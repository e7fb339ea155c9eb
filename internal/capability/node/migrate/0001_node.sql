create table node_activation(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	code_hash {text} not null,
	iam_role {text} not null,
	default_name {text} not null,
	expires bigint not null,
	registration_limit bigint not null,
	registrations bigint not null,
	created bigint not null,
	spec {json} not null,
	primary key(account, region, id));
create unique index node_activation_id on node_activation(id);
create table node_node(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	activation_id {text} not null,
	name {text} not null,
	iam_role {text} not null,
	public_key {text} not null,
	fingerprint {text} not null,
	registered bigint not null,
	deregistered bigint not null,
	agent_name {text} not null,
	agent_version {text} not null,
	computer_name {text} not null,
	ip_address {text} not null,
	platform_type {text} not null,
	platform_name {text} not null,
	platform_version {text} not null,
	online bigint not null,
	connection {text} not null,
	last_ping bigint not null,
	primary key(account, region, id));
create unique index node_node_id on node_node(id);
create index node_node_key on node_node(activation_id, fingerprint);
create index node_node_online on node_node(last_ping) where online = 1;
