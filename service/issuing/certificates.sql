-- of_batch(batch_id) -> [Listed]
-- Void numbers stay listed.
select number, version, name, project_name, state,
    case when state = 'issued' then standing else '' end as standing, pdf_sha256,
    case when state <> 'void' and void_asked_by is not null then '作废待确认 void asked: ' || void_reason
        else coalesce(void_reason, cause) end as cause
from certificate where batch_id = :batch_id
order by number, version limit 200000;

-- lock(number) -> _Standing?
-- The newest version of a number, held until the transaction ends.
select version, city_code, state, void_asked_by from certificate
where number = :number
order by version desc limit 1
for update;

-- ask_void(number, version, account_name, reason) -> none
-- The first of two persons; nothing more is sealed from here on.
update certificate set void_asked_by = :account_name, void_reason = :reason
where number = :number and version = :version;

-- void(number, version, account_name) -> none
-- The second of two persons; a trigger gives the version before its standing back.
update certificate set state = 'void', voided_by = :account_name
where number = :number and version = :version;

-- retry(batch_id) -> [str]
-- What is parked, and what somebody wanted voided without a second person agreeing.
update certificate set state = 'numbered', cause = null, claimed_by = null, claimed_at = null,
    claim_count = 0,
    void_asked_by = null, void_reason = null
where batch_id = :batch_id and (state = 'parked' or state = 'numbered' and void_asked_by is not null)
returning number;
