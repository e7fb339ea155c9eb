create table mailbox_message(
	account {text} not null,
	region {text} not null,
	node_id {text} not null,
	id {text} not null,
	kind {text} not null,
	payload {blob} not null,
	state {text} not null,
	created bigint not null,
	deadline bigint not null,
	due bigint not null,
	sent bigint not null,
	sends bigint not null,
	primary key(account, region, node_id, id));
create index mailbox_message_due on mailbox_message(account, region, node_id, due) where state <> 'acknowledged';
