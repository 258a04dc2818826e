-- add_consignment(city_code, direction, series_id, requisition_id, sheet_count, document_number, reason, account_name) -> int
-- A requisition follows its consignments.
insert into consignment (city_code, direction, series_id, requisition_id, sheet_count,
    document_number, reason, dispatched_by)
values (:city_code, :direction, :series_id, :requisition_id, :sheet_count, :document_number,
    :reason, :account_name)
returning consignment_id;

-- lock_consignment(consignment_id) -> int?
-- Held until the transaction ends.
select 1 from consignment where consignment_id = :consignment_id for update;

-- find_consignment(consignment_id) -> Consignment?
-- One consignment with the serials that were sent.
select consignment_id, city_code, direction, series_code, prefix, digit_count, requisition_id,
    sheet_count, consignment.document_number, reason, state, dispatched_by, dispatched_at,
    undo_asked_by, ended_by, ended_at, counted, firsts, lasts
from consignment join blank_series using (series_id), lateral (
    select array_agg(lower(serials) order by movement_id) as firsts,
        array_agg(upper(serials) - 1 order by movement_id) as lasts
    from blank_movement where subject = 'consignment:' || consignment_id
        and blank_movement.kind in ('dispatch', 'send-back')) sent
where consignment_id = :consignment_id;

-- recent_consignments() -> [Consignment]
-- What is on the road, then the newest; of the actor's city, the province sees all.
select consignment_id, city_code, direction, series_code, prefix, digit_count, requisition_id,
    sheet_count, consignment.document_number, reason, state, dispatched_by, dispatched_at,
    undo_asked_by, ended_by, ended_at, counted, firsts, lasts
from (select * from consignment order by state <> 'dispatched', consignment_id desc limit 100)
    as consignment join blank_series using (series_id), lateral (
    select array_agg(lower(serials) order by movement_id) as firsts,
        array_agg(upper(serials) - 1 order by movement_id) as lasts
    from blank_movement where subject = 'consignment:' || consignment_id
        and blank_movement.kind in ('dispatch', 'send-back')) sent
order by state <> 'dispatched', consignment_id desc;

-- dispatches(consignment_id) -> [_Dispatch]
-- The movements by which it left.
select movement_id, lower(serials) as first_serial, upper(serials) - 1 as last_serial
from blank_movement where subject = 'consignment:' || :consignment_id::bigint::text
    and kind = 'dispatch'
order by movement_id;

-- ask_undo(consignment_id, account_name, reason) -> none
-- The first of two persons of the province.
update consignment set undo_asked_by = :account_name, undo_reason = :reason
where consignment_id = :consignment_id;

-- end_consignment(consignment_id, state, account_name, counted) -> none
-- Received or undone.
update consignment set state = :state, ended_by = :account_name, ended_at = now(),
    counted = :counted
where consignment_id = :consignment_id;

-- low(now, weeks) -> [Pace]
-- A series that will not last, and the newest one of a city that has none of its kind left.
with known as (
    select city_code, series_id, series_code, kind,
        coalesce((select sum(upper(serials) - lower(serials)) from blank_stock
            where (city_code, state, series_id)
                = (head.city_code, 'at-city', head.series_id)), 0) as sheets,
        coalesce((select sum((upper(serials) - lower(serials))
                    * case blank_movement.kind when 'draw' then 1 else -1 end)
                from blank_movement
                where (city_code, series_id) = (head.city_code, head.series_id)
                    and at > :now::timestamptz - interval '28 days'
                    and (blank_movement.kind = 'draw'
                        or blank_movement.kind = 'return' and from_state = 'drawn')), 0) as drawn
    from blank_head head join blank_series using (series_id)
    where sequence > 0 and city_code <> '510000'
), of_kind as (
    select *, sum(sheets) over kind_of_city as sheets_of_kind,
        max(series_id) over kind_of_city as newest
    from known window kind_of_city as (partition by city_code, kind)
)
select city_code, series_code, sheets::int8 as sheet_count,
    (drawn / 4)::float8 as drawn_a_week,
    case when sheets = 0 then 0 else sheets * 4 / drawn end::float8 as weeks_left
from of_kind
where sheets > 0 and drawn > 0 and sheets * 4 < :weeks::int * drawn
    or sheets_of_kind = 0 and series_id = newest
order by weeks_left, city_code, series_id limit 1000;

-- away(series_id) -> [Held]
-- Extra sheets that nobody has settled, wherever the books have them.
select lower(serials) as first_serial, upper(serials) - 1 as last_serial from difference_open
where kind = 'extra' and series_id = :series_id
order by serials limit 10000;
