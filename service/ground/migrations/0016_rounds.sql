-- Rounds: which serial bears which number, told once and compared later.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create view print_round_content with (security_invoker = true) as
    select sheet.city_code, run_id, round, encode(sha256(convert_to(string_agg(concat_ws(' ',
        position, sheet.series_id, sheet.serial, sheet.number, sheet.version, outcome, paper.number,
        paper.version, paper.remark), E'\n' order by position), 'UTF8')), 'hex') as digest
    from sheet left join paper using (run_id, round, position)
    group by sheet.city_code, run_id, round;
comment on view print_round_content is 'A SHA-256 of all sheets of a round and what they bear; the journal keeps it as the round is settled.';
grant select on print_round_content to qianfa_console;

create unique index paper_of_sheet on paper (run_id, round, position);
