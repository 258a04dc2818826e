-- open_stocktake(city_code, occasion, series_ids, opened_by) -> int
-- From now on nothing moves from or to what it counts.
insert into stocktake (city_code, occasion, series_ids, opened_by)
values (:city_code, :occasion, :series_ids::int[], :opened_by)
returning stocktake_id;

-- lock_stocktake(stocktake_id) -> int?
-- Held until the transaction ends.
select stocktake_id from stocktake where stocktake_id = :stocktake_id for update;

-- stocktakes(stocktake_id) -> [Stocktake]
-- One, or without an id all of them, newest first.
select stocktake_id, city_code, occasion,
    array(select series_code from blank_series where series_id = any (series_ids)
        order by series_id) as series_codes,
    state, opened_by, opened_at, closed_by, closed_at, decided_by, decided_at, remark,
    (select count(*) from stocktake_difference one
        where one.stocktake_id = stocktake.stocktake_id) as difference_count
from stocktake where stocktake_id = :stocktake_id or :stocktake_id::int8 is null
order by stocktake_id desc limit 1000;

-- keep_count(stocktake_id, city_code, series_id, is_spoiled, firsts, lasts, counted_by) -> int
-- A trigger takes it only while the count goes on.
insert into stocktake_count (stocktake_id, city_code, series_id, is_spoiled, serials, counted_by)
select :stocktake_id, :city_code, :series_id, :is_spoiled,
    range_agg(int8range(first, last, '[]')), :counted_by
from unnest(:firsts::int8[], :lasts::int8[]) as counted (first, last)
returning count_id;

-- strike_count(stocktake_id, count_id, account_name, reason) -> int?
-- It stays to be read.
update stocktake_count set struck_by = :account_name, struck_at = now(), strike_reason = :reason
where (stocktake_id, count_id) = (:stocktake_id, :count_id) and struck_by is null
returning count_id;

-- entries(stocktake_id) -> [Entry]
-- In the order in which they were typed.
select count_id, series_code, prefix, digit_count, is_spoiled,
    array(select lower(part) from unnest(serials) as part) as firsts,
    array(select upper(part) - 1 from unnest(serials) as part) as lasts,
    counted_by, counted_at, struck_by, strike_reason
from stocktake_count join blank_series using (series_id)
where stocktake_id = :stocktake_id
order by count_id limit 10000;

-- counted_twice(stocktake_id) -> [_Twice]
-- What two entries name.
select prefix, digit_count, lower(part) as first_serial, upper(part) - 1 as last_serial,
    one.count_id, other.count_id as other_count_id
from stocktake_count one join stocktake_count other
        on (other.stocktake_id, other.series_id) = (one.stocktake_id, one.series_id)
            and other.count_id > one.count_id and other.serials && one.serials
    join blank_series on blank_series.series_id = one.series_id,
    unnest(one.serials * other.serials) as part
where one.stocktake_id = :stocktake_id and one.struck_by is null and other.struck_by is null
order by one.series_id, 3, 5, 6 limit 10000;

-- close_count(stocktake_id, account_name) -> none
-- A trigger compares with the books.
update stocktake set state = 'counted', closed_by = :account_name, closed_at = now()
where stocktake_id = :stocktake_id;

-- decide_stocktake(stocktake_id, state, account_name, remark) -> none
-- Once, and for ever.
update stocktake set state = :state, decided_by = :account_name, decided_at = now(),
    remark = :remark
where stocktake_id = :stocktake_id;

-- tallies(stocktake_id) -> [Tally]
-- The free and the spoiled sheets of each series, as the count was closed.
select series_code, prefix, digit_count, is_spoiled,
    array(select lower(part) from unnest(book * counted) as part) as firsts,
    array(select upper(part) - 1 from unnest(book * counted) as part) as lasts,
    (select coalesce(sum(upper(part) - lower(part)), 0)::int8 from unnest(book) as part)
        as book_count,
    (select coalesce(sum(upper(part) - lower(part)), 0)::int8 from unnest(counted) as part)
        as counted_count
from stocktake_tally join blank_series using (series_id)
where stocktake_id = :stocktake_id
order by series_id, is_spoiled limit 2000;

-- differences(stocktake_id) -> [Difference]
-- In the order of the serials.
select difference_number, stocktake_difference.city_code, series_code, prefix, digit_count,
    array[lower(serials)] as firsts, array[upper(serials) - 1] as lasts, book_city, book_state,
    counted_state, to_state, reason, reasoned_by
from stocktake_difference join blank_series using (series_id)
where stocktake_id = :stocktake_id
order by difference_number limit 100000;

-- give_reason(stocktake_id, numbers, reason, account_name) -> [int]
-- To those named, or without numbers to all that have none.
update stocktake_difference
set reason = :reason, reasoned_by = :account_name, reasoned_at = now()
where stocktake_id = :stocktake_id
    and (difference_number = any (:numbers::int[]) or :numbers::int[] is null and reason is null)
returning difference_number;
