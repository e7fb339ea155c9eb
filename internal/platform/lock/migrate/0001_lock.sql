create table lock_lock(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	kind {text} not null,
	target {text} not null,
	reason {text} not null,
	created_by {text} not null,
	created bigint not null,
	expires bigint not null,
	primary key(account, region, id));
