-- add_differences(consignment_id, kind, firsts, lasts) -> none
-- By whoever receives it, in the same transaction.
insert into difference (consignment_id, kind, serials)
select :consignment_id, :kind, int8range(first, last, '[]')
from unnest(:firsts::int8[], :lasts::int8[]) with ordinality as found (first, last, place)
order by place;

-- open_differences() -> [Difference]
-- All that nobody has settled, oldest first; of the actor's city, the province sees all.
select difference_id, consignment_id, difference_open.city_code, direction, series_code, prefix,
    digit_count, difference_open.kind, lower(serials) as first_serial,
    upper(serials) - 1 as last_serial, recorded_by,
    difference_open.recorded_at
from difference_open join consignment using (consignment_id)
    join blank_series on blank_series.series_id = difference_open.series_id
order by difference_id, lower(serials) limit 1000;

-- lock_difference(difference_id) -> int?
-- The consignment that it belongs to, held until the transaction ends.
select consignment_id from consignment join difference using (consignment_id)
where difference_id = :difference_id
for update of consignment;

-- open_parts(difference_id) -> [Difference]
-- What of a difference nobody has settled.
select difference_id, consignment_id, difference_open.city_code, direction, series_code, prefix,
    digit_count, difference_open.kind, lower(serials) as first_serial,
    upper(serials) - 1 as last_serial, recorded_by,
    difference_open.recorded_at
from difference_open join consignment using (consignment_id)
    join blank_series on blank_series.series_id = difference_open.series_id
where difference_id = :difference_id
order by lower(serials);

-- add_settlements(difference_id, firsts, lasts, settled_as, document_number, reason, account_name) -> none
-- Each serial of a difference once.
insert into settlement (difference_id, serials, settled_as, document_number, reason, settled_by)
select :difference_id, int8range(first, last, '[]'), :settled_as, :document_number, :reason,
    :account_name
from unnest(:firsts::int8[], :lasts::int8[]) as part (first, last);
