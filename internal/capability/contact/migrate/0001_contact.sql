create table contact_contact(
	account {text} not null, region {text} not null, alias {text} not null,
	type {text} not null, name {text} not null, plan {text} not null, policy {text} not null,
	token {text} not null, created bigint not null,
	primary key(account, region, alias));
create table contact_channel(
	account {text} not null, region {text} not null, id {text} not null,
	alias {text} not null, type {text} not null, name {text} not null, address {text} not null,
	activated bigint not null, token {text} not null, created bigint not null,
	nonce {text} not null, expires bigint not null, tries bigint not null,
	sends bigint not null, sends_since bigint not null,
	primary key(account, region, id));
create index contact_channel_alias on contact_channel(account, region, alias, created);
