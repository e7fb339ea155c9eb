create table document_document(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	type {text} not null,
	default_version bigint not null,
	latest_version bigint not null,
	last_version bigint not null,
	created bigint not null,
	primary key(account, region, name)
);
create table document_version(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	version bigint not null,
	version_name {text} not null,
	display_name {text} not null,
	format {text} not null,
	content {text} not null,
	hash {text} not null,
	schema_version {text} not null,
	target_type {text} not null,
	author {text} not null,
	platforms {text} not null,
	requires {text} not null,
	attachments {text} not null,
	review {text} not null,
	created bigint not null,
	primary key(account, region, name, version)
);
create table document_share(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	shared_with {text} not null,
	version {text} not null,
	primary key(account, region, name, shared_with)
);
create index document_share_with on document_share(shared_with, region);
create table document_review(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	version bigint not null,
	reviewer {text} not null,
	status {text} not null,
	comments {text} not null,
	created bigint not null,
	updated bigint not null,
	primary key(account, region, name, version, reviewer)
);
