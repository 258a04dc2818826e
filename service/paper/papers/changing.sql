-- movement_of(kind, paper, certificate) -> str
-- How a change would move a paper, or nothing where there is no such change.
select coalesce(paper_change_movement(:kind, :paper, :certificate), '') as movement;

-- ask_paper_change(city_code, paper_id, kind, paper_state, reason, document_number, account_name) -> int
-- The first of two persons.
insert into paper_change (city_code, paper_id, kind, paper_state, reason, document_number, asked_by)
values (:city_code, :paper_id, :kind, :paper_state, :reason, :document_number, :account_name)
returning change_id;

-- lock_paper_change(change_id) -> _Asked?
-- The change and its paper, held until the transaction ends.
select change_id, change.city_code, change.kind, change.state, reason,
    change.document_number, asked_by, number,
    series_code, serial, prefix || lpad(serial::text, digit_count, '0') as serial_text,
    paper.state as paper, held.standing as certificate,
    case paper.state when paper_state
        then paper_change_movement(change.kind, paper_state, held.standing) end as movement, (
        select movement_id
        from blank_history(paper.series_id, int8multirange(int8range(serial, serial, '[]'))) moved
        where moved.kind = 'hand-over'
        order by movement_id desc limit 1) as handed_over_by
from paper_change change join paper using (paper_id) join blank_series using (series_id)
    join certificate held using (number)
where change_id = :change_id and held.standing <> 'replaced' and held.state <> 'void'
for update of change;

-- decide_paper_change(change_id, state, account_name, decline_reason) -> none
-- Its blank moves in the same transaction.
update paper_change set state = :state, decided_by = :account_name, decided_at = now(),
    decline_reason = :decline_reason
where change_id = :change_id;

-- waiting_papers() -> [Waiting]
-- What nobody has decided yet, in the order in which it was asked.
select change_id, change.kind, number, prefix || lpad(serial::text, digit_count, '0') as serial,
    paper.state as paper, reason, change.document_number, asked_by, asked_at
from paper_change change join paper using (paper_id) join blank_series using (series_id)
where change.state = 'asked' order by change_id limit 1000;
