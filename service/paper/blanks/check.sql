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

-- page(after, count) -> [_Replayed]
-- Movements in the order in which they were written, whatever somebody made of them.
select movement_id, city_code, series_id, coalesce(lower(serials), 0) as first_serial,
    coalesce(upper(serials) - 1, 1000000000000) as last_serial, from_city, from_state, to_city,
    to_state
from blank_movement join blank_series using (series_id)
where movement_id > :after order by movement_id limit :count;

-- stocked() -> [_Stocked]
-- All stock there is.
select series_id, coalesce(lower(serials), 0) as first_serial,
    coalesce(upper(serials) - 1, 1000000000000) as last_serial, city_code, state
from blank_stock order by series_id, serials limit 10000000;

-- written() -> [_Written]
-- How the serials of each series are written.
select series_id, series_code, prefix, digit_count from blank_series order by series_id limit 10000;

-- heads() -> [Head]
-- The end of every chain, on which all before it depends.
select city_code, series_code, sequence, hash
from blank_head join blank_series using (series_id) where sequence > 0
order by city_code, series_id limit 100000;

-- pathless() -> [_Broken]
-- The first movement of each chain that no path permits: not in the table of paths, by too few persons, between others' accounts, or against nothing.
select distinct on (moved.city_code, moved.series_id) moved.city_code, series_code,
    moved.movement_id, 'pathless' as reason
from blank_movement moved join blank_series using (series_id)
    left join blank_movement countered on countered.movement_id = moved.counters
        and (countered.city_code, countered.series_id) = (moved.city_code, moved.series_id)
        and countered.serials @> moved.serials
    left join blank_path path on (path.kind, path.from_state, path.to_state) = case moved.kind
        when 'counter' then (countered.kind, countered.from_state, countered.to_state)
        else (moved.kind, moved.from_state, moved.to_state) end
where path.kind is null
    or 1 + num_nonnulls(moved.second_actor, moved.third_actor)
        < greatest(path.person_count, case moved.kind when 'counter' then 2 end)
    or case moved.kind
        when 'counter' then not counterable
            or (moved.from_city, moved.from_state, moved.to_city, moved.to_state)
                <> (countered.to_city, countered.to_state, countered.from_city, countered.from_state)
        else moved.counters is not null or (moved.from_city, moved.to_city)
            <> (case from_side when 'province' then '510000' else moved.city_code end,
                case to_side when 'province' then '510000' else moved.city_code end) end
order by moved.city_code, moved.series_id, moved.sequence limit 1000;
