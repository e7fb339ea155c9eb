alter table node_node add column hub {text} not null default '';
