create table inbox_message(
	account {text} not null, region {text} not null, id {text} not null,
	address {text} not null, sender {text} not null, subject {text} not null, content {text} not null,
	incident {text} not null, sealed {text} not null, at bigint not null,
	primary key(account, region, id));
create index inbox_message_at on inbox_message(at, id);
