-- The queue: claims go round the batches that wait. Run before the code that uses it.

set local lock_timeout = '10s';

drop index certificate_queue;
create index certificate_queue on certificate (batch_id, number, version)
    where state = 'numbered' and claim_count < 3 and void_asked_by is null;
create index certificate_parked on certificate (batch_id) where state = 'parked';

create sequence claim_turn minvalue 0;
comment on sequence claim_turn is 'The batch that began the last group claimed; the next group begins with the batch after it.';
select setval('claim_turn', 0);
grant select, update on sequence claim_turn to qianfa_worker;
