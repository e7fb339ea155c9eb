alter table command_step add column outputs {blob} not null default '';
alter table command_output add column sealed bigint not null default 0;
