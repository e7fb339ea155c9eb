create table node_token(
	account {text} not null,
	region {text} not null,
	node_id {text} not null,
	hash {text} not null,
	expires bigint not null,
	primary key(account, region, node_id));
