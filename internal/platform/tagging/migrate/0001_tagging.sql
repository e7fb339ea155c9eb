create table tagging_tag(
	account {text} not null,
	region {text} not null,
	kind {text} not null,
	id {text} not null,
	name {text} not null,
	value {text} not null,
	primary key(account, region, kind, id, name)
);
create index tagging_tag_name on tagging_tag(account, region, kind, name, value, id);
