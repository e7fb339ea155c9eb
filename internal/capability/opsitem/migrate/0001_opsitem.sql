create table opsitem_item(
	account {text} not null, region {text} not null, id {text} not null,
	title {text} not null, status {text} not null, source {text} not null, severity {text} not null, category {text} not null,
	priority bigint not null, type {text} not null, version bigint not null,
	created bigint not null, created_by {text} not null, modified bigint not null, modified_by {text} not null,
	dedup {text} not null, open_dedup {text} not null, spec {text} not null,
	primary key(account, region, id));
create unique index opsitem_item_dedup on opsitem_item(account, region, open_dedup) where open_dedup <> '';
create index opsitem_item_created on opsitem_item(account, region, created, id);
create table opsitem_related(
	account {text} not null, region {text} not null, item {text} not null, id {text} not null,
	kind {text} not null, type {text} not null, uri {text} not null, at bigint not null, by {text} not null,
	primary key(account, region, item, id));
create unique index opsitem_related_uri on opsitem_related(account, region, item, uri);
