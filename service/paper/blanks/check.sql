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

-- heads() -> [Head]
-- The end of every chain, on which all before it depends.
select city_code, series_code, sequence, hash
from blank_head join blank_series using (series_id) where sequence > 0
order by city_code, series_id limit 100000;

-- unmatched_sheets() -> [_Unmatched]
-- Serials that the stock has drawn, printed, on a road or short and no sheet, paper or consignment tells so, or the other way round.
with told as (
    select consignment.city_code, consignment.series_id,
        case direction when 'supply' then 'in-transit' else 'sent-back' end as state, serials
    from consignment join blank_movement on subject = 'consignment:' || consignment_id
        and blank_movement.kind in ('dispatch', 'send-back')
    where consignment.state = 'dispatched'
    union all
    select open.city_code, open.series_id,
        case direction when 'supply' then 'short' else 'sent-back' end, serials
    from difference_open open join consignment using (consignment_id)
    where open.kind = 'short'
    union all
    select city_code, series_id, 'drawn' as state, int8range(serial, serial, '[]') as serials
    from sheet where outcome is null
    union all
    select city_code, series_id, state, int8range(serial, serial, '[]')
    from paper where state <> 'ended'
), compared as (
    select city_code, series_id, state,
        coalesce(range_agg(serials) filter (where not is_told), '{}') as stocked,
        coalesce(range_agg(serials) filter (where is_told), '{}') as told
    from (
        select city_code, series_id, state, serials, true as is_told from told
        union all
        select city_code, series_id, state, serials, false from blank_stock
        where state in ('drawn', 'printed', 'handed-over', 'in-transit', 'short', 'sent-back')
    ) every
    group by city_code, series_id, state
)
select distinct on (city_code, series_id, state) city_code, series_id, state,
    lower(part) as first_serial, upper(part) - 1 as last_serial
from compared, unnest((stocked - told) + (told - stocked)) as part
order by city_code, series_id, state, part limit 1000;

-- unmatched_runs() -> [_Run]
-- Runs whose movements are not what became of their sheets: drawn, printed, spoiled, returned.
with books as (
    select city_code, split_part(subject, ':', 2)::bigint as run_id,
        case kind when 'print' then 'printed' when 'spoil' then 'spoiled'
            when 'return' then 'returned' else kind end as outcome,
        sum(upper(serials) - lower(serials)) as sheets
    from blank_movement where subject like 'print-run:%'
    group by 1, 2, 3
), sheets as (
    select city_code, run_id, unnest(array['draw', outcome]) as outcome, count(*) as sheets
    from sheet group by 1, 2, 3
)
select coalesce(books.city_code, sheets.city_code) as city_code, run_id, min(series_code) as series_code
from books full join sheets using (run_id, outcome)
    left join print_run using (run_id) left join blank_series using (series_id)
where coalesce(books.outcome, sheets.outcome) is not null
    and books.sheets is distinct from sheets.sheets
    or print_run.state = 'closed' and outcome is null
group by 1, run_id order by 1, run_id limit 1000;
