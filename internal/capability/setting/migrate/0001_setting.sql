create table setting_value(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	value {text} not null,
	modified bigint not null,
	modified_by {text} not null,
	primary key(account, region, id)
);
