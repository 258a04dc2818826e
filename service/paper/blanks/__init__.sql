-- record_series(series_code, year, kind, prefix, digit_count, edition, document_number) -> str?
-- Series are the province's.
insert into blank_series (series_code, year, kind, prefix, digit_count, edition, document_number)
values (:series_code, :year, :kind, :prefix, :digit_count, :edition, :document_number)
on conflict do nothing
returning '510000';

-- find_series(series_code) -> Series?
-- One series.
select series_id, series_code, year, kind, prefix, digit_count, edition
from blank_series where series_code = :series_code;

-- all_series() -> [Series]
-- In the order in which they came.
select series_id, series_code, year, kind, prefix, digit_count, edition
from blank_series order by series_id limit 1000;

-- lock_accounts(series_id, cities) -> none
-- Held until the transaction ends.
select blank_lock(:series_id, :cities::text[]);

-- whereabouts(series_id, firsts, lasts) -> [Place]
-- Part by part, what is outside the books too.
select first_serial, last_serial, city_code, state
from blank_whereabouts(:series_id, (
    select range_agg(int8range(first, last, '[]'))
    from unnest(:firsts::int8[], :lasts::int8[]) as asked (first, last)));

-- add_movements(city_code, series_id, kind, firsts, lasts, from_state, to_state, document_number, reason, subject, actor, second_actor, third_actor, counters) -> [int]
-- The trigger blank_moves checks, moves the stock and chains.
insert into blank_movement (city_code, series_id, kind, serials, from_state, to_state,
    document_number, reason, subject, actor, second_actor, third_actor, counters)
select :city_code, :series_id, :kind, int8range(first, last, '[]'), :from_state, :to_state,
    :document_number, :reason, :subject, :actor, :second_actor, :third_actor, :counters
from unnest(:firsts::int8[], :lasts::int8[]) with ordinality as asked (first, last, place)
order by place
returning movement_id;

-- held(city_code, series_id, state) -> [Held]
-- The ranges of an account.
select lower(serials) as first_serial, upper(serials) - 1 as last_serial from blank_stock
where (city_code, state, series_id) = (:city_code, :state, :series_id)
order by lower(serials) limit 100000;

-- stock() -> [Stock]
-- Every account with anything in it.
select city_code, series_code, state, sum(upper(serials) - lower(serials))::int8 as sheet_count,
    count(*) as range_count
from blank_stock join blank_series using (series_id)
group by city_code, series_id, series_code, state
order by city_code, series_id, state limit 10000;

-- pace(now) -> [Pace]
-- What was drawn less what was returned in four weeks, and how long the stock lasts like that.
with drawn as (
    select city_code, series_id, sum(
        (upper(serials) - lower(serials)) * case kind when 'draw' then 1 else -1 end) as sheets
    from blank_movement
    where at > :now::timestamptz - interval '28 days'
        and (kind = 'draw' or kind = 'return' and from_state = 'drawn')
    group by city_code, series_id
)
select drawn.city_code, series_code,
    coalesce(sum(upper(serials) - lower(serials)), 0)::int8 as sheet_count,
    (sheets / 4)::float8 as drawn_a_week,
    (coalesce(sum(upper(serials) - lower(serials)), 0) * 4 / sheets)::float8 as weeks_left
from drawn join blank_series using (series_id)
    left join blank_stock stock on (stock.city_code, stock.series_id, stock.state)
        = (drawn.city_code, drawn.series_id, 'at-city')
where sheets > 0
group by drawn.city_code, drawn.series_id, series_code, sheets
order by weeks_left limit 1000;

-- moved(movement_id) -> Moved?
-- One movement.
select movement_id, city_code, series_id, sequence, at, kind, lower(serials) as first_serial,
    upper(serials) - 1 as last_serial, from_city, from_state, to_city, to_state, document_number,
    reason, subject, actor, second_actor, third_actor, counters
from blank_movement where movement_id = :movement_id;

-- in_chain(city_code, series_id, sequence) -> Moved?
-- The movement at this place of a chain.
select movement_id, city_code, series_id, sequence, at, kind, lower(serials) as first_serial,
    upper(serials) - 1 as last_serial, from_city, from_state, to_city, to_state, document_number,
    reason, subject, actor, second_actor, third_actor, counters
from blank_movement
where (city_code, series_id, sequence) = (:city_code, :series_id, :sequence);
