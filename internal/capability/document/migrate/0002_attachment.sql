alter table document_version add column status {text} not null default 'Active';
alter table document_version add column status_information {text} not null default '';
alter table document_version add column fetch_id {text} not null default '';
create table document_file(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	version bigint not null,
	file {text} not null,
	blob {text} not null,
	sha256 {text} not null,
	size bigint not null,
	primary key(account, region, name, version, file)
);
create index document_file_blob on document_file(blob);
