create table parameter_parameter(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	parent {text} not null,
	version bigint not null,
	type {text} not null,
	value {text} not null,
	sealed {blob},
	tier {text} not null,
	data_type {text} not null,
	key_id {text} not null,
	description {text} not null,
	allowed_pattern {text} not null,
	policies {text} not null,
	modified bigint not null,
	modified_by {text} not null,
	created bigint not null,
	primary key(account, region, name)
);
create index parameter_parent on parameter_parameter(account, region, parent, name);
create table parameter_version(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	version bigint not null,
	type {text} not null,
	value {text} not null,
	sealed {blob},
	tier {text} not null,
	data_type {text} not null,
	key_id {text} not null,
	description {text} not null,
	allowed_pattern {text} not null,
	policies {text} not null,
	modified bigint not null,
	modified_by {text} not null,
	primary key(account, region, name, version)
);
create table parameter_label(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	label {text} not null,
	version bigint not null,
	primary key(account, region, name, label)
);
