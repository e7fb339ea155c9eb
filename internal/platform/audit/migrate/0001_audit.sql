create table audit_answer(
	account {text} not null,
	region {text} not null,
	principal {text} not null,
	operation {text} not null,
	invocation {text} not null,
	input {text} not null,
	until bigint not null,
	answer {blob},
	primary key(account, region, principal, operation, invocation));
create index audit_answer_until on audit_answer(until);
