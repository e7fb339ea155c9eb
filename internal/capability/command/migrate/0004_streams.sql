alter table command_output add column length bigint not null default 0;
alter table command_output add column blob {text} not null default '';
create table command_stream(
	account {text} not null,
	region {text} not null,
	command_id {text} not null,
	node_id {text} not null,
	step {text} not null,
	stream {text} not null,
	length bigint not null,
	total bigint not null,
	hash {blob} not null,
	primary key(account, region, command_id, node_id, step, stream));
