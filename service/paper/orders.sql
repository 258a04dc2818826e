-- countered(movement_id) -> _Countered?
-- How many persons the path of a movement needs, and whether it may be taken back.
select coalesce(person_count, 2) as person_count, coalesce(counterable, false) as counterable
from blank_movement moved left join blank_path path on (path.kind, path.from_state, path.to_state)
    = (moved.kind, moved.from_state, moved.to_state)
where movement_id = :movement_id;

-- moved_since(movement_id) -> [Held]
-- What of a movement's serials has moved again after it.
select lower(part) as first_serial, upper(part) - 1 as last_serial
from (
    select range_agg(moved.serials * later.serials) as serials
    from blank_movement moved, blank_history(series_id, int8multirange(serials)) later
    where moved.movement_id = :movement_id and later.movement_id > moved.movement_id
) since, unnest(serials) as part
order by 1 limit 100000;

-- keep_order(city_code, series_id, kind, from_state, to_state, firsts, lasts, document_number, reason, counters, person_count, asked_by) -> int
-- It waits, and reserves nothing.
insert into blank_order (city_code, series_id, kind, from_state, to_state, serials, document_number,
    reason, counters, person_count, asked_by)
select :city_code, :series_id, :kind, :from_state, :to_state, range_agg(int8range(first, last, '[]')),
    :document_number, :reason, :counters, :person_count, :asked_by
from unnest(:firsts::int8[], :lasts::int8[]) as asked (first, last)
returning order_id;

-- lock_order(order_id) -> int?
-- Held until the transaction ends.
select order_id from blank_order where order_id = :order_id for update;

-- told(order_id) -> [Order]
-- One order, or without an id all that wait, oldest first.
select order_id, blank_order.city_code, series_code, prefix, digit_count, blank_order.kind,
    from_state, to_state,
    array(select lower(part) from unnest(serials) as part) as firsts,
    array(select upper(part) - 1 from unnest(serials) as part) as lasts,
    blank_order.document_number, reason, counters, person_count, asked_by,
    asked_at, state, witnessed_by, decided_by, decided_at, decline_reason
from blank_order join blank_series using (series_id)
where order_id = :order_id or :order_id::int8 is null and state = 'asked'
order by order_id limit 1000;

-- sign_order(order_id, account_name) -> none
-- The first of two witnesses.
update blank_order set witnessed_by = :account_name, witnessed_at = now()
where order_id = :order_id;

-- decide_order(order_id, state, account_name, decline_reason) -> none
-- Once, and for ever.
update blank_order set state = :state, decided_by = :account_name, decided_at = now(),
    decline_reason = :decline_reason
where order_id = :order_id;

-- doomed(order_id) -> [Doomed]
-- Why what a list destroys has come to wait for destruction: the newest movement of each sheet but the destruction.
with came as (
    select moved.kind, moved.reason, listed.series_id, unnest(
        int8multirange(moved.serials) * listed.serials - coalesce((
            select range_agg(later.serials)
            from blank_history(listed.series_id, int8multirange(moved.serials) * listed.serials)
                as later
            where later.movement_id > moved.movement_id
                and later.subject <> 'blank-order:' || order_id), '{}')) as part
    from blank_order listed, blank_history(listed.series_id, listed.serials) moved
    where order_id = :order_id and subject <> 'blank-order:' || order_id
)
select came.kind, reason, series_code, prefix, digit_count,
    array_agg(lower(part) order by part) as firsts,
    array_agg(upper(part) - 1 order by part) as lasts
from came join blank_series using (series_id)
group by came.kind, reason, series_code, prefix, digit_count
order by min(lower(part)) limit 10000;

-- centre_name(city_code, day) -> str?
-- What a centre is called on a day.
select centre_name from centre where city_code = :city_code and valid_from <= :day
order by valid_from desc limit 1;
