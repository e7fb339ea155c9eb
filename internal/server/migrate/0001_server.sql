create table server_key(
	name {text} primary key,
	fingerprint {text} not null,
	at bigint not null);
