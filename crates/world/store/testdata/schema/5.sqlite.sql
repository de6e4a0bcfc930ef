create table tls_keys (
fingerprint bytea not null primary key,
account_id bigint not null,
login text not null,
name text not null,
kind text not null,
imap_preauth bigint not null,
spki bytea not null,
added_at bigint not null
);
create index tls_keys_account on tls_keys (account_id, added_at);