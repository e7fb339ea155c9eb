alter table node_node add column key_since bigint not null default 0;
