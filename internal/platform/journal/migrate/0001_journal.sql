create table journal_row(
	id {text} primary key,
	position bigint not null,
	at bigint not null,
	account {text} not null,
	region {text} not null,
	actor {text} not null,
	request_id {text} not null,
	kind {text} not null,
	subject {text} not null,
	related {text} not null,
	body {text} not null);
create index journal_waiting on journal_row(at, id) where position = 0;
create unique index journal_position on journal_row(position) where position > 0;
create index journal_kind on journal_row(kind, position) where position > 0;
create index journal_subject on journal_row(subject, position) where position > 0;
create table journal_hash(
	number bigint primary key,
	hash {text} not null);
create table journal_head(
	id bigint primary key,
	size bigint not null,
	signed bigint not null,
	signed_at bigint not null);
create table journal_checkpoint(
	size bigint primary key,
	at bigint not null,
	note {text} not null);
create table journal_cursor(
	name {text} primary key,
	position bigint not null);
create table journal_aside(
	name {text} not null,
	position bigint not null,
	at bigint not null,
	error {text} not null,
	primary key(name, position));
insert into journal_head(id, size, signed, signed_at) values(1, 0, 0, 0);
