create table incident_set(
	account {text} not null, region {text} not null, id {text} not null,
	status {text} not null, protected bigint not null, regions {text} not null,
	created bigint not null, created_by {text} not null, modified bigint not null, modified_by {text} not null,
	primary key(account, region));
create table incident_plan(
	account {text} not null, region {text} not null, name {text} not null,
	created bigint not null, spec {text} not null,
	primary key(account, region, name));
create table incident_record(
	account {text} not null, region {text} not null, arn {text} not null,
	title {text} not null, summary {text} not null, impact bigint not null, status {text} not null,
	dedupe {text} not null, planned bigint not null, alarm {text} not null,
	created bigint not null, created_by {text} not null, resolved bigint not null, modified bigint not null, modified_by {text} not null,
	source {text} not null, invoked_by {text} not null, resource {text} not null,
	home {text} not null, item {text} not null, spec {text} not null,
	primary key(account, region, arn));
create index incident_record_dedupe on incident_record(account, region, dedupe);
create index incident_record_status on incident_record(account, region, status, planned);
create index incident_record_alarm on incident_record(account, region, alarm);
create index incident_record_created on incident_record(account, region, created, arn);
create table incident_event(
	account {text} not null, region {text} not null, incident {text} not null, id {text} not null,
	type {text} not null, at bigint not null, updated bigint not null, data {text} not null, refs {text} not null, custom bigint not null,
	primary key(account, region, incident, id));
create index incident_event_at on incident_event(account, region, incident, at, id);
create table incident_item(
	account {text} not null, region {text} not null, incident {text} not null, id {text} not null,
	title {text} not null, added bigint not null, spec {text} not null,
	primary key(account, region, incident, id));
create table incident_policy(
	account {text} not null, region {text} not null, resource {text} not null, id {text} not null, policy {text} not null,
	primary key(account, region, resource, id));
