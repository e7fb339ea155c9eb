create table compliance_upload(
	account {text} not null,
	region {text} not null,
	resource_id {text} not null,
	resource_type {text} not null,
	type {text} not null,
	hash {text} not null,
	execution {json} not null,
	items {blob} not null,
	updated bigint not null,
	primary key(account, region, resource_id, resource_type, type));
create index compliance_upload_type on compliance_upload(account, region, type, resource_id);
