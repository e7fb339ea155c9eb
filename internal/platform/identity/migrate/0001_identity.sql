create table identity_key(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	user_name {text} not null,
	secret {blob} not null,
	created bigint not null,
	primary key (account, region, id));
create index identity_key_user on identity_key(account, region, user_name);
create table identity_hub(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	value {blob} not null,
	primary key (account, region, name));
create table identity_revocation(
	account {text} not null,
	region {text} not null,
	principal {text} not null,
	before bigint not null,
	primary key (account, region, principal));
