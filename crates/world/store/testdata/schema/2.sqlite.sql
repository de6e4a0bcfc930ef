create table refused (
id bigint not null primary key,
reference text not null,
at bigint not null,
version bigint not null,
payload bytea not null
);
create index refused_reference on refused (reference, id);
create index refused_at on refused (at);alter table message_facts add column reference text;
create index message_facts_reference on message_facts (account_id, reference, kind, id)
where reference is not null;