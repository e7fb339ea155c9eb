alter table loggroup_event add column sealed {blob} not null default '';
