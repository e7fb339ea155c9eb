alter table command_command add column parameters {blob} not null default '';
