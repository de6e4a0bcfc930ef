alter table queue_messages add column ret text;
alter table queue_messages add column envid text;
alter table queue_recipients add column notify text;
alter table queue_recipients add column orcpt text;