create table incident_token(
	account {text} not null, region {text} not null, operation {text} not null, token {text} not null,
	hash {text} not null, result {text} not null, at bigint not null,
	primary key(account, region, operation, token));
create index incident_token_at on incident_token(account, region, at);
