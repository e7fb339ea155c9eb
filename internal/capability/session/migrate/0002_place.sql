create table session_place(
	account {text} not null,
	region {text} not null,
	session_id {text} not null,
	side {text} not null,
	hub {text} not null,
	primary key(account, region, session_id, side));
