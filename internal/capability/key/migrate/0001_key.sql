create table key_key(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	manager {text} not null,
	description {text} not null,
	enabled bigint not null,
	created bigint not null,
	deletion bigint not null,
	material {blob} not null,
	primary key(account, region, id)
);
create table key_alias(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	key_id {text} not null,
	created bigint not null,
	updated bigint not null,
	primary key(account, region, name)
);
create index key_alias_key on key_alias(account, region, key_id);
