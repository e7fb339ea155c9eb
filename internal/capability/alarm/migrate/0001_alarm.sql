create table alarm_alarm(
	account {text} not null, region {text} not null, key {text} not null,
	source {text} not null, name {text} not null, firing bigint not null, count bigint not null,
	since bigint not null, last bigint not null, incident {text} not null, item {text} not null, payload {text} not null,
	primary key(account, region, key));
