-- An account with one message, in the words of version 1.
insert into accounts (account_id, name, active, created_at) values (7, 'alice', 1, 0);
insert into account_state (account_id, next_id, modseq, next_uid_validity, used, quota) values (7, 4, 3, 101, 20, null);
insert into mailboxes (account_id, id, name, uid_validity, uid_next, first_recent, create_modseq, modseq,
    special_use, total, unseen, deleted, size, keywords)
    values (7, 1, 'Inbox', 100, 2, 1, 2, 3, null, 1, 1, 0, 20, '');
insert into messages (account_id, mailbox_id, uid, id, modseq, create_modseq, flags, keywords, size,
    received_at, save_date, thread_id, blob_id) values (7, 1, 1, 3, 3, 3, 0, '', 20, 0, 0, 3, 2);
insert into message_content (account_id, id, prefix, structure, preview, message_id, subject_base)
    values (7, 3, x'413a20620d0a', x'00', 'hello', null, 'x');
insert into blobs (account_id, id, size, refs, file) values (7, 2, 14, 1, null);
insert into blob_data (account_id, id, data) values (7, 2, x'5375626a6563743a20780d0a0d0a');
insert into message_facts (account_id, id, kind, version, payload) values (7, 3, 'evidence', 1, x'7b7d');
