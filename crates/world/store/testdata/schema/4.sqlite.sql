create table sts_policies (
domain text not null primary key,
used_at bigint not null,
version bigint not null,
payload bytea not null
);