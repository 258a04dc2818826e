-- unmatched_sheets() -> [_Unmatched]
-- Serials that the stock has drawn, printed, on the road or short and no sheet, paper or consignment tells so, or the other way round.
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
    select city_code, series_id, 'drawn', int8range(serial, serial, '[]')
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
select distinct on (city_code, series_id, state) city_code, series_code, prefix, digit_count,
    lower(part) as first_serial, upper(part) - 1 as last_serial
from compared join blank_series using (series_id),
    unnest((stocked - told) + (told - stocked)) as part
order by city_code, series_id, state, part limit 1000;

-- changed_series() -> [_Record]
-- Series that are not what the journal says was recorded.
select journal.city_code, 'series:' || subject as record
from journal left join blank_series on series_code = subject
where act = 'blanks:series:record' and (detail ->> 'year', detail ->> 'kind', detail ->> 'prefix',
        detail ->> 'digit_count', detail ->> 'edition', detail ->> 'document_number')
    is distinct from (year::text, kind, prefix, digit_count::text, edition, document_number)
order by sequence limit 1000;

-- unmatched_runs() -> [_Record]
-- Runs whose movements are not what became of their sheets: drawn, printed, spoiled, returned; or whose state, series or planner is another.
with books as (
    select city_code, subject, case kind when 'print' then 'printed' when 'spoil' then 'spoiled'
            when 'return' then 'returned' else kind end as outcome,
        sum(upper(serials) - lower(serials)) as sheets,
        array_agg(distinct series_id) as series, array_agg(distinct second_actor) as planners
    from blank_movement where subject like 'print-run:%'
    group by 1, 2, 3
), sheets as (
    select city_code, 'print-run:' || run_id as subject,
        unnest(array['draw', outcome]) as outcome, count(*) as sheets,
        array_agg(distinct series_id) as series
    from sheet group by 1, 2, 3
), rounds as (
    select run_id, bool_and(settled_by is not null) as is_settled from print_round group by run_id
)
select city_code, subject as record
from books full join (select * from sheets where outcome is not null) sheets
    using (city_code, subject, outcome)
where (books.sheets, books.series) is distinct from (sheets.sheets, sheets.series)
union
select city_code, subject
from (select *, 'print-run:' || run_id as subject from print_run) run
    left join rounds using (run_id)
    full join (select * from books where outcome = 'draw') books using (city_code, subject)
where case state when 'planned' then is_settled is not null
        when 'cancelled' then not coalesce(is_settled, true)
            or exists (select from sheet where sheet.run_id = run.run_id and outcome <> 'returned')
        else is_settled is distinct from (state <> 'drawn') end
    or (array[series_id], array[planned_by]) is distinct from (series, planners)
        and (series_id is not null or series is not null)
order by 1, 2 limit 1000;

-- unbound_rounds() -> [_Record]
-- Settled rounds in which other sheets bear other certificates than the journal says.
select content.city_code, 'print-run:' || run_id || ' 第 ' || content.round || ' 轮' as record
from print_round join print_run using (run_id, city_code) join print_round_content content
        using (run_id, round, city_code)
    left join (
        select city_code, subject, detail ->> 'round' as round, detail ->> 'sheets' as digest
        from journal where act = 'printing:run:settle') told
    on (told.city_code, told.subject, told.round) = (content.city_code, run_id::text, content.round::text)
where settled_by is not null and state <> 'cancelled' and content.digest is distinct from told.digest
order by 1, 2 limit 1000;

-- unmatched_papers() -> [_Record]
-- Papers that are handed over and nobody collected, and changes that are done and moved nothing, or moved something and are not done.
with moved as (
    select city_code, subject from blank_movement where subject like 'paper-change:%'
), done as (
    select city_code, 'paper-change:' || change_id as subject from paper_change where state = 'done'
)
select city_code, 'paper:' || number as record
from paper where state = 'handed-over'
    and not exists (select from hand_over where hand_over.paper_id = paper.paper_id)
union
((table moved except table done) union all (table done except table moved))
order by 1, 2 limit 1000;

-- unmatched_consignments() -> [_Record]
-- Consignments that tell something else than their movements and differences.
with moved as (
    select city_code, series_id, subject,
        coalesce(sum(upper(serials) - lower(serials)) filter (
            where kind in ('dispatch', 'send-back')), 0) as sent,
        coalesce(sum(upper(serials) - lower(serials)) filter (
            where kind = 'receive' or kind = 'take-back' and second_actor is null), 0) as came,
        coalesce(sum(upper(serials) - lower(serials)) filter (
            where kind in ('counter', 'unsent')), 0) as undone
    from blank_movement where subject like 'consignment:%'
    group by city_code, series_id, subject
), differing as (
    select consignment_id,
        sum(upper(serials) - lower(serials)) filter (where kind = 'short') as short,
        sum(upper(serials) - lower(serials)) filter (where kind = 'extra') as extra
    from difference group by consignment_id
)
select city_code, subject as record
from (select *, 'consignment:' || consignment_id as subject from consignment
        left join differing using (consignment_id)) consignment
    left join moved using (city_code, series_id, subject)
where sent is distinct from sheet_count or case state
    when 'received' then came + coalesce(short, 0) <> sent or counted <> came + coalesce(extra, 0)
    when 'undone' then undone <> sent
    else came + undone > 0 end
union
-- What was too many may move in the province's chain.
select moved.city_code, subject from moved left join consignment
    on subject = 'consignment:' || consignment_id
where consignment_id is null and sent + came > 0
order by 1, 2 limit 1000;

-- unmatched_requisitions() -> [_Record]
-- Requisitions whose counts are not those of their passes, of the certificates and of the journal, or that their consignments have taken elsewhere.
with told as (
    select distinct on (city_code, subject, act) city_code, subject, act, detail from journal
    where act in ('requisitions:requisition:make', 'requisitions:requisition:approve')
    order by city_code, subject, act, sequence desc
), making as (
    select city_code, subject, detail as made from told where act = 'requisitions:requisition:make'
), approval as (
    select city_code, subject, detail as approved from told
    where act = 'requisitions:requisition:approve'
), passes as (
    select requisition_id, sum(pass_count) as passes, bool_or(live) as is_live,
        bool_or(pass_count > (select count(*) from certificate
            where (batch_id, project_name, version) = (one.batch_id, one.project_name, 1)))
            as is_invented
    from requisition_pass one group by requisition_id
)
select city_code, 'requisition:' || subject as record
from (select *, requisition_id::text as subject from requisition) asked
    left join passes using (requisition_id) left join making using (city_code, subject)
    left join approval using (city_code, subject), requisition_supply(requisition_id) supply
where (made ->> 'kind', made ->> 'from', made ->> 'until', made ->> 'passes', made ->> 'extra')
        is distinct from (kind, archived_from::text, archived_until::text, pass_count::text,
            extra_count::text)
    or pass_count <> coalesce(passes, 0) or is_invented or is_live <> (asked.state <> 'withdrawn')
    or approved ->> 'extra' is distinct from extra_granted::text
    or asked.state in ('approved', 'dispatched', 'received') and asked.state <> supply.state
order by 1, 2 limit 1000;

-- unmatched_orders() -> [_Record]
-- Orders that are done and have not moved what they say, by those who signed, or moved and are not done.
with moved as (
    select subject, city_code, series_id, kind, from_state, to_state, actor,
        array_remove(array[second_actor, third_actor], null) as others, counters,
        range_agg(serials) as serials
    from blank_movement where subject like 'blank-order:%'
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9
), ordered as (
    select 'blank-order:' || order_id as subject, city_code, series_id, kind, from_state, to_state,
        asked_by as actor, array_remove(array[witnessed_by, decided_by], null) as others, counters,
        serials
    from blank_order where state = 'done'
), every as (
    (table moved except table ordered) union all (table ordered except table moved)
)
select distinct city_code, subject as record from every order by 1, 2 limit 1000;

-- unmatched_stocktakes() -> [_Record]
-- Stocktakes whose adjustments are not those of their differences, or whose tally is not what was counted.
with moved as (
    select city_code, subject, series_id, from_state, to_state, actor, second_actor,
        range_agg(serials) as serials
    from blank_movement where subject like 'stocktake:%'
    group by 1, 2, 3, 4, 5, 6, 7
), approved as (
    select stocktake.city_code, 'stocktake:' || stocktake_id as subject, series_id, book_state,
        to_state, closed_by, decided_by, range_agg(serials) as serials
    from stocktake join stocktake_difference using (stocktake_id)
    where state = 'approved' and to_state is not null
    group by 1, 2, 3, 4, 5, 6, 7
), every as (
    (table moved except table approved) union all (table approved except table moved)
)
select city_code, subject as record from every
union
select city_code, 'stocktake:' || stocktake_id from stocktake_tally tally
where counted <> coalesce((
    select range_agg(part) from stocktake_count one, unnest(one.serials) as part
    where (one.stocktake_id, one.series_id, one.is_spoiled)
        = (tally.stocktake_id, tally.series_id, tally.is_spoiled) and struck_by is null), '{}')
order by 1, 2 limit 1000;
