create table automation_document(
	account {text} not null,
	region {text} not null,
	hash {text} not null,
	format {text} not null,
	content {text} not null,
	primary key(account, region, hash));
create table automation_execution(
	account {text} not null,
	region {text} not null,
	id {text} not null,
	document {text} not null,
	version {text} not null,
	hash {text} not null,
	status {text} not null,
	action {text} not null,
	parent {text} not null,
	started_by {text} not null,
	human {text} not null,
	role {text} not null,
	token {text},
	request {text} not null,
	created bigint not null,
	ended bigint not null,
	state {json} not null,
	spec {json} not null,
	sealed {blob} not null,
	primary key(account, region, id));
create unique index automation_execution_token on automation_execution(account, region, token) where token is not null;
create index automation_execution_created on automation_execution(account, region, created, id);
create index automation_execution_parent on automation_execution(account, region, parent) where parent <> '';
create table automation_step(
	account {text} not null,
	region {text} not null,
	execution {text} not null,
	position bigint not null,
	id {text} not null,
	name {text} not null,
	action {text} not null,
	parent {text} not null,
	iteration bigint not null,
	status {text} not null,
	attempt bigint not null,
	intent bigint not null,
	far {text} not null,
	started bigint not null,
	ended bigint not null,
	spec {json} not null,
	sealed {blob} not null,
	primary key(account, region, execution, position));
create unique index automation_step_id on automation_step(account, region, id);
create index automation_step_far on automation_step(account, region, far) where far <> '';
create table automation_approval(
	account {text} not null,
	region {text} not null,
	step {text} not null,
	position bigint not null,
	arn {text} not null,
	human {text} not null,
	decision {text} not null,
	comment {text} not null,
	at bigint not null,
	primary key(account, region, step, position));
create unique index automation_approval_human on automation_approval(account, region, step, human);
