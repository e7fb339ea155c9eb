create table task_task(
	id {text} primary key,
	account {text} not null,
	region {text} not null,
	kind {text} not null,
	key {text} not null,
	args {text} not null,
	due bigint not null,
	wake bigint not null,
	owner {text} not null,
	attempt bigint not null,
	again bigint not null,
	actor {text} not null,
	dead bigint not null);
create unique index task_key on task_task(account, region, kind, key);
create index task_wake on task_task(wake) where dead = 0;
create index task_owner on task_task(owner) where owner <> '';
create table task_failure(
	id {text} primary key,
	account {text} not null,
	region {text} not null,
	kind {text} not null,
	key {text} not null,
	attempt bigint not null,
	at bigint not null,
	error {text} not null);
create index task_failure_key on task_failure(account, region, kind, key, at);
