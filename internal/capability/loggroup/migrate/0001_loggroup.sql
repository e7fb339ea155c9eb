create table loggroup_group(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	created bigint not null,
	retention bigint not null,
	primary key(account, region, name)
);
create table loggroup_stream(
	account {text} not null,
	region {text} not null,
	group_name {text} not null,
	name {text} not null,
	created bigint not null,
	first_event bigint not null,
	last_event bigint not null,
	ingested bigint not null,
	next bigint not null,
	primary key(account, region, group_name, name)
);
create table loggroup_event(
	account {text} not null,
	region {text} not null,
	group_name {text} not null,
	stream {text} not null,
	at bigint not null,
	seq bigint not null,
	ingested bigint not null,
	message {text} not null,
	primary key(account, region, group_name, at, stream, seq)
);
create index loggroup_event_stream on loggroup_event(account, region, group_name, stream, at, seq);
