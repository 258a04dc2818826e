-- broken_chains() -> [_Broken]
-- The first break of each chain: a gap, a wrong link, a changed movement, or an end that is not the head.
with entry as (
    select movement_id, city_code, series_id, sequence, previous, hash,
        lag(hash, 1, '\x'::bytea) over chain as before,
        lag(sequence, 1, 0::bigint) over chain as sequence_before,
        sha256(previous || blank_bytes(blank_movement)) as computed
    from blank_movement
    window chain as (partition by city_code, series_id order by sequence)
), break as (
    select city_code, series_id, sequence, movement_id,
        case when sequence <> sequence_before + 1 then 'removed'
            when previous <> before then 'unlinked' else 'changed' end as reason
    from entry
    where sequence <> sequence_before + 1 or previous <> before or hash <> computed
    union all
    select city_code, series_id, greatest(last.sequence, head.sequence), movement_id,
        case when last.sequence = head.sequence then 'changed'
            when last.sequence > coalesce(head.sequence, 0) then 'added'
            else 'cut off' end
    from (select * from blank_head where sequence > 0) head full join (
        select distinct on (city_code, series_id) city_code, series_id, movement_id, sequence, hash
        from blank_movement order by city_code, series_id, sequence desc) last
        using (city_code, series_id)
    where (last.sequence, last.hash) is distinct from (head.sequence, head.hash)
)
select distinct on (city_code, series_id) city_code, series_code, movement_id, reason
from break join blank_series using (series_id)
order by city_code, series_id, break.sequence limit 1000;

-- page(after, count) -> [Moved]
-- Movements in the order in which they were written.
select movement_id, city_code, series_id, sequence, at, kind, lower(serials) as first_serial,
    upper(serials) - 1 as last_serial, from_city, from_state, to_city, to_state, document_number,
    reason, subject, actor, second_actor, third_actor, counters
from blank_movement where movement_id > :after order by movement_id limit :count;

-- stocked() -> [_Stocked]
-- All stock there is.
select series_id, lower(serials) as first_serial, upper(serials) - 1 as last_serial, city_code,
    state
from blank_stock order by series_id, lower(serials) limit 10000000;

-- written() -> [_Written]
-- How the serials of each series are written.
select series_id, series_code, prefix, digit_count from blank_series order by series_id limit 10000;
