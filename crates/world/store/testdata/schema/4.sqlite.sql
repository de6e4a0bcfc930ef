create index queue_recipients_destination on queue_recipients (destination, next_attempt_at, id);
create table sts_policies (
domain text not null primary key,
used_at bigint not null,
version bigint not null,
payload bytea not null
);
create table tls_results (
day bigint not null,
policy_domain text not null,
recipient_domain text not null,
scope text not null,
causes_report bigint not null,
version bigint not null,
payload bytea not null,
primary key (day, policy_domain, recipient_domain, scope)
);