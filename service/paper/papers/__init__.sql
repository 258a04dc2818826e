-- current_papers(numbers) -> [Paper]
-- The current papers of these numbers, and how the certificate stands that counts.
select paper_id, paper.city_code, paper.number, paper.version, series_code, serial,
    prefix || lpad(serial::text, digit_count, '0') as serial_text, paper.state, remark, printed_at,
    borne.name, borne.project_name, coalesce((
        select centre_name from centre where centre.city_code = paper.city_code
            and valid_from <= (now() at time zone 'Asia/Shanghai')::date
        order by valid_from desc limit 1), '') as centre,
    case held.state when 'void' then held.state else held.standing end as certificate,
    held.version = paper.version and held.state = 'issued' as is_newest
from paper join blank_series using (series_id)
    join certificate borne on (borne.number, borne.version) = (paper.number, paper.version)
    join certificate held on held.number = paper.number
        and held.standing <> 'replaced' and held.state <> 'void'
where paper.number = any (:numbers::text[]) and paper.state <> 'ended'
order by series_id, serial limit 10000;

-- numbers_of_run(run_id) -> [str]
-- What is printed by this run and not collected.
select number from paper where run_id = :run_id and state = 'printed' order by number limit 2000;

-- add_hand_overs(paper_ids, city_code, handed_on, agent_name, authority_document, document_number, account_name, id_checked) -> none
-- A trigger lets only printed papers of valid certificates pass.
insert into hand_over (paper_id, city_code, handed_on, agent_name, authority_document,
    document_number, recorded_by, id_checked)
select paper_id, :city_code, :handed_on, :agent_name, :authority_document, :document_number,
    :account_name, :id_checked
from unnest(:paper_ids::bigint[]) as paper_id order by paper_id;

-- uncollected(now, days_min) -> [Uncollected]
-- By age, in legal days.
select number, prefix || lpad(serial::text, digit_count, '0') as serial, name, standing as certificate,
    printed_at, (:now::timestamptz at time zone 'Asia/Shanghai')::date
        - (printed_at at time zone 'Asia/Shanghai')::date as days
from paper join blank_series using (series_id) join certificate using (number, version)
where paper.state = 'printed' and (:now::timestamptz at time zone 'Asia/Shanghai')::date
    - (printed_at at time zone 'Asia/Shanghai')::date >= :days_min
order by printed_at, series_id, serial limit 10000;
