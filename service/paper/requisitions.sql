-- earliest(city_code, kind, requisition_id) -> _Earliest
-- The first day with archived passes that no other requisition of the kind covers.
select min(archived_on) as archived_on from batch
where city_code = :city_code and state = 'approved'
    and exists (select from certificate where certificate.batch_id = batch.batch_id
        and version = 1 and certificate.state <> 'void')
    and not exists (select from requisition_pass
        where requisition_pass.batch_id = batch.batch_id and kind = :kind and live
            and requisition_id is distinct from :requisition_id);

-- make_requisition(city_code, kind, archived_from, archived_until, extra_count, extra_reason, account_name) -> int
-- The trigger requisition_moves counts.
insert into requisition (city_code, kind, archived_from, archived_until, extra_count, extra_reason,
    made_by)
values (:city_code, :kind, :archived_from, :archived_until, :extra_count, :extra_reason,
    :account_name)
returning requisition_id;

-- mend_requisition(requisition_id, archived_from, archived_until, extra_count, extra_reason, account_name) -> none
-- A draft again, counted anew; why it was returned stays to be read.
update requisition set state = 'draft', archived_from = :archived_from,
    archived_until = :archived_until, extra_count = :extra_count, extra_reason = :extra_reason,
    made_by = :account_name, made_at = now(), submitted_by = null, submitted_at = null
where requisition_id = :requisition_id;

-- submit_requisition(requisition_id, account_name) -> none
-- The second of two persons of the city.
update requisition set state = 'submitted', submitted_by = :account_name, submitted_at = now(),
    decided_by = null, decided_at = null, reason = null
where requisition_id = :requisition_id;

-- decide_requisition(requisition_id, state, account_name, extra_granted, reason) -> none
-- By the province.
update requisition set state = :state, decided_by = :account_name, decided_at = now(),
    extra_granted = :extra_granted, reason = :reason
where requisition_id = :requisition_id;

-- end_requisition(requisition_id, state, account_name, reason) -> none
-- Withdrawn or closed.
update requisition set state = :state, ended_by = :account_name, ended_at = now(), reason = :reason
where requisition_id = :requisition_id;

-- lock_requisition(requisition_id) -> _Locked?
-- Held until the transaction ends.
select city_code, kind, state from requisition where requisition_id = :requisition_id for update;

-- find_requisition(requisition_id) -> Requisition?
-- One requisition and how much of it has been supplied.
select requisition_id, city_code, kind, archived_from, archived_until, pass_count, stock_count,
    extra_count, extra_reason, extra_granted, requisition.state, reason, made_by, made_at,
    submitted_by, submitted_at, decided_by, decided_at,
    pass_count + extra_granted as approved_count, supply.sheet_count as supplied_count
from requisition, requisition_supply(requisition_id) supply
where requisition_id = :requisition_id;

-- recent_requisitions() -> [Requisition]
-- The newest of the actor's city; the province sees all.
select requisition_id, city_code, kind, archived_from, archived_until, pass_count, stock_count,
    extra_count, extra_reason, extra_granted, requisition.state, reason, made_by, made_at,
    submitted_by, submitted_at, decided_by, decided_at,
    pass_count + extra_granted as approved_count, supply.sheet_count as supplied_count
from requisition, requisition_supply(requisition_id) supply
order by requisition_id desc limit 100;

-- requisition_lines(requisition_id) -> [ProjectLine]
-- The passes that it covers, or covered before it was withdrawn, by project.
select project_name, count(*) as batch_count, sum(pass_count)::bigint as pass_count
from requisition_pass where requisition_id = :requisition_id
group by project_name order by project_name limit 2000;

-- supplied_ranges(requisition_id) -> [_Supplied]
-- What was dispatched for it and not undone, in the order of the dispatches.
select prefix, digit_count, lower(serials) as first_serial, upper(serials) - 1 as last_serial
from consignment join blank_series using (series_id)
    join blank_movement on subject = 'consignment:' || consignment_id
        and blank_movement.kind = 'dispatch'
where requisition_id = :requisition_id and state <> 'undone'
order by movement_id limit 10000;
