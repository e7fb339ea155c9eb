create table inventory_item(
	account {text} not null,
	region {text} not null,
	node_id {text} not null,
	type {text} not null,
	schema_version {text} not null,
	capture_time {text} not null,
	hash {text} not null,
	content {blob} not null,
	entries bigint not null,
	updated bigint not null,
	primary key(account, region, node_id, type));
create index inventory_item_type on inventory_item(account, region, type, node_id);
create table inventory_deletion(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	type {text} not null,
	started bigint not null,
	summary {json} not null,
	token {text} not null,
	primary key(account, region, id));
create table inventory_disabled(
	account {text} not null,
	region {text} not null,
	type {text} not null,
	version {text} not null,
	primary key(account, region, type));
