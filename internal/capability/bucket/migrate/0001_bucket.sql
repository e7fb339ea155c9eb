create table bucket_bucket(
	account {text} not null,
	region {text} not null,
	name {text} not null,
	home {text} not null,
	created bigint not null,
	tags {text} not null,
	primary key(account, region, name)
);
create table bucket_object(
	account {text} not null,
	region {text} not null,
	bucket {text} not null,
	key {text} not null,
	size bigint not null,
	etag {text} not null,
	modified bigint not null,
	head {text} not null,
	parts {text} not null,
	primary key(account, region, bucket, key)
);
create table bucket_upload(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	bucket {text} not null,
	key {text} not null,
	created bigint not null,
	head {text} not null,
	primary key(account, region, id)
);
create index bucket_upload_bucket on bucket_upload(account, region, bucket, key);
create table bucket_part(
	account {text} not null,
	region {text} not null,
	upload {text} not null,
	number bigint not null,
	etag {text} not null,
	size bigint not null,
	modified bigint not null,
	part {text} not null,
	primary key(account, region, upload, number)
);
