-- record_publicity(batch_id, publicity_from, publicity_until) -> str?
-- While the batch is open.
update batch set publicity_from = :publicity_from, publicity_until = :publicity_until
where batch_id = :batch_id and state in ('draft', 'returned')
returning city_code;

-- record_papers(batch_id, received_on) -> str?
-- While the batch is open.
update batch set papers_received_on = :received_on
where batch_id = :batch_id and state in ('draft', 'returned')
returning city_code;

-- record_commitment(batch_id, party, committed_by, committed_on, text_sha256) -> str?
-- While the batch is open; a new one takes the place of the old, which stays in the journal.
insert into commitment (batch_id, city_code, party, committed_by, committed_on, text_sha256)
select batch_id, city_code, :party, :committed_by, :committed_on, :text_sha256
from batch where batch_id = :batch_id and state in ('draft', 'returned')
on conflict (batch_id, party) do update set committed_by = excluded.committed_by,
    committed_on = excluded.committed_on, text_sha256 = excluded.text_sha256
returning city_code;

-- record_evidence(batch_id, evidence_name, kind, file_sha256, kept_until) -> str?
-- While the batch is open; paper is kept at least 3 years after the last exam, video 5.
insert into evidence (batch_id, city_code, evidence_name, kind, sha256, kept_until)
select batch_id, city_code, :evidence_name, :kind::text, :file_sha256, :kept_until::date
from batch
where batch_id = :batch_id and state in ('draft', 'returned')
    and :kept_until::date >= (select max(exam_on) from result where batch_id = :batch_id)
        + case :kind::text when 'paper' then interval '3 years' else interval '5 years' end
on conflict (batch_id, evidence_name) do update set kind = excluded.kind,
    sha256 = excluded.sha256, kept_until = excluded.kept_until
returning city_code;
