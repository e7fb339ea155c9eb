create table automation_preview(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	created bigint not null,
	counts {json} not null,
	primary key(account, region, id));
create index automation_preview_created on automation_preview(account, region, created);
