create table engage_engagement(
	account {text} not null, region {text} not null, id {text} not null,
	alias {text} not null, incident {text} not null, sender {text} not null,
	subject {text} not null, content {text} not null, public_subject {text} not null, public_content {text} not null,
	started bigint not null, stopped bigint not null, outcome {text} not null, token {text} not null, state {text} not null,
	primary key(account, region, id));
create index engage_engagement_incident on engage_engagement(account, incident);
create index engage_engagement_started on engage_engagement(account, region, started, id);
create table engage_page(
	account {text} not null, region {text} not null, id {text} not null,
	engagement {text} not null, alias {text} not null, channel {text} not null,
	run bigint not null, stage bigint not null, target bigint not null, try bigint not null,
	status {text} not null, created bigint not null, sent bigint not null, delivered bigint not null, read bigint not null,
	primary key(account, region, id));
create index engage_page_engagement on engage_page(account, region, engagement, created, id);
create index engage_page_alias on engage_page(account, region, alias, created, id);
create table engage_receipt(
	account {text} not null, region {text} not null, page {text} not null, seq bigint not null,
	channel {text} not null, type {text} not null, info {text} not null, at bigint not null,
	primary key(account, region, page, seq));
