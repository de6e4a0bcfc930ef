create table account_state (
account_id bigint not null primary key,
next_id bigint not null,
modseq bigint not null,
next_uid_validity bigint not null,
used bigint not null,
quota bigint
);
create table blobs (
account_id bigint not null,
id bigint not null,
size bigint not null,
refs bigint not null,
file text,
primary key (account_id, id)
);
create unique index blobs_file on blobs (account_id, file);
create table blob_data (
account_id bigint not null,
id bigint not null,
data bytea not null,
primary key (account_id, id)
);create table accounts (
account_id bigint not null primary key,
name text not null unique,
active bigint not null,
created_at bigint not null
);
insert into account_state values (0, 1, 0, 0, 0, null);
create table passwords (
account_id bigint not null primary key,
argon2 text not null,
set_at bigint not null
);
create table verifiers (
account_id bigint not null,
mechanism text not null,
verifier bytea not null,
primary key (account_id, mechanism)
);
create table secrets (
name text not null primary key,
value bytea not null
);
create table login_attempts (
account_id bigint not null,
likeness bytea not null,
succeeded bigint not null,
first_at bigint not null,
last_at bigint not null,
count bigint not null,
login text not null,
remote_ip text not null,
local_ip text not null,
protocol text not null,
mechanism text not null,
tls text not null,
client text not null,
outcome text not null,
primary key (account_id, likeness)
) ;
create index login_attempts_last on login_attempts (account_id, succeeded, last_at);
create index login_attempts_age on login_attempts (last_at);
create table queue_messages (
id bigint not null primary key,
submitter bigint,
sender text not null,
blob_id bigint not null,
prefix bytea not null,
size bigint not null,
eight_bit bigint not null,
smtputf8 bigint not null,
demand_version bigint not null,
demand bytea not null,
created_at bigint not null
);
create table queue_recipients (
id bigint not null primary key,
message_id bigint not null,
recipient text not null,
destination text not null,
attempts bigint not null,
last_attempt_at bigint,
next_attempt_at bigint not null,
leased bigint not null,
result_version bigint,
result bytea
);
create index queue_recipients_next on queue_recipients (next_attempt_at, id);
create index queue_recipients_message on queue_recipients (message_id);create table mailboxes (
account_id bigint not null,
id bigint not null,
name text not null,
uid_validity bigint not null,
uid_next bigint not null,
first_recent bigint not null,
create_modseq bigint not null,
modseq bigint not null,
special_use text,
total bigint not null,
unseen bigint not null,
deleted bigint not null,
size bigint not null,
keywords text not null,
primary key (account_id, id)
);
create unique index mailboxes_name on mailboxes (account_id, name);
create unique index mailboxes_special_use on mailboxes (account_id, special_use);
create table mailbox_tombstones (
account_id bigint not null,
id bigint not null,
name text not null,
uid_validity bigint not null,
create_modseq bigint not null,
modseq bigint not null,
primary key (account_id, id)
);
create table subscriptions (
account_id bigint not null,
name text not null,
primary key (account_id, name)
);
create table messages (
account_id bigint not null,
mailbox_id bigint not null,
uid bigint not null,
id bigint not null,
modseq bigint not null,
create_modseq bigint not null,
flags bigint not null,
keywords text not null,
size bigint not null,
received_at bigint not null,
save_date bigint not null,
thread_id bigint not null,
blob_id bigint not null,
primary key (account_id, mailbox_id, uid)
) ;
create unique index messages_id on messages (account_id, id);
create index messages_modseq on messages (account_id, mailbox_id, modseq);
create index messages_thread on messages (account_id, thread_id);
create table message_content (
account_id bigint not null,
id bigint not null,
prefix bytea not null,
structure bytea not null,
preview text not null,
message_id text,
subject_base text not null,
primary key (account_id, id)
);
create index message_content_message_id on message_content (account_id, message_id);
create table message_facts (
account_id bigint not null,
id bigint not null,
kind text not null,
version bigint not null,
payload bytea not null,
primary key (account_id, id, kind)
);
create table tombstones (
account_id bigint not null,
mailbox_id bigint not null,
uid bigint not null,
id bigint not null,
create_modseq bigint not null,
modseq bigint not null,
kept bigint not null,
primary key (account_id, mailbox_id, uid)
) ;
create index tombstones_modseq on tombstones (account_id, mailbox_id, modseq);
create table annotations (
account_id bigint not null,
mailbox_id bigint not null,
entry text not null,
value bytea not null,
is_text bigint not null,
modseq bigint not null,
primary key (account_id, mailbox_id, entry)
);
create table deliveries (
account_id bigint not null,
delivery_id text not null,
id bigint not null,
delivered_at bigint not null,
primary key (account_id, delivery_id)
);
create index deliveries_delivered_at on deliveries (account_id, delivered_at);
create table thread_bonds (
account_id bigint not null,
bond bigint not null,
thread_id bigint not null,
primary key (account_id, bond)
) ;
create index thread_bonds_thread on thread_bonds (account_id, thread_id);
create table thread_subjects (
account_id bigint not null,
id bigint not null,
mailbox_id bigint not null,
subject_key bigint not null,
received_at bigint not null,
waits bigint not null,
primary key (account_id, id)
) ;
create index thread_subjects_key on thread_subjects (account_id, subject_key, mailbox_id, received_at);
create table search_documents (
account_id bigint not null,
id bigint not null,
document_id bigint not null,
primary key (account_id, id)
) ;
create index search_documents_document on search_documents (account_id, document_id);
create table search_partial (
account_id bigint not null,
document_id bigint not null,
primary key (account_id, document_id)
) ;
create table search_index (
account_id bigint not null,
document_id bigint not null,
field bigint not null,
terms text[] not null,
primary key (account_id, document_id, field)
);
create index search_index_terms on search_index using gin (terms) with (fastupdate = off);
create table search_vocabulary (
account_id bigint not null,
term text collate "C" not null,
grams text[] not null,
primary key (account_id, term)
);
create index search_vocabulary_grams on search_vocabulary using gin (grams) with (gin_pending_list_limit = 256);