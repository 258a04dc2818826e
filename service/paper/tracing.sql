-- serial_events(series_id, serial) -> [Event]
-- All that happened to one sheet, as far as the actor may see it.
select at, act, actors, document_number, reason, told from (
    select at, 'blank:' || kind as act,
        array_remove(array[actor, second_actor, third_actor], null) as actors,
        moved.document_number, moved.reason, jsonb_build_object(
            'sequence', sequence, 'city_code', moved.city_code,
            'first_serial', lower(serials), 'last_serial', upper(serials) - 1,
            'from_state', from_state, 'to_state', to_state, 'counters', (select countered.sequence from blank_movement countered
                where countered.movement_id = moved.counters),
            'subject', subject, 'requisition_id', requisition_id) as told
    from blank_history(:series_id, int8multirange(int8range(:serial, :serial, '[]'))) moved
        left join consignment on consignment_id
            = case when subject ~ '^consignment:[0-9]{1,18}$' then substr(subject, 13)::bigint end
    union all
    select moment.at, 'print:' || act, array[account_name], '', '', jsonb_build_object(
        'city_code', sheet.city_code, 'run_id', run_id, 'round', round, 'position', sheet.position,
        'number', case act when 'draw' then sheet.number end,
        'outcome', case act when 'settle' then outcome end)
    from sheet join print_run using (run_id) join print_round using (run_id, round)
        cross join lateral (values ('plan', planned_at, planned_by), ('draw', drawn_at, drawn_by),
            ('settle', settled_at, settled_by), (print_run.state, ended_at, ended_by))
            as moment (act, at, account_name)
    where (sheet.series_id, serial) = (:series_id, :serial) and moment.at is not null
    union all
    select printed_at, 'paper:carry', '{}', '', '', jsonb_build_object(
        'city_code', city_code, 'number', number, 'version', version, 'remark', remark,
        'run_id', run_id, 'round', round, 'position', position)
    from paper where (series_id, serial) = (:series_id, :serial)
    union all
    select recorded_at, 'paper:hand-over', array[recorded_by], document_number, '',
        jsonb_build_object('city_code', hand_over.city_code, 'number', number,
            'handed_on', handed_on, 'collector', coalesce(agent_name, holder.name),
            'authority_document', authority_document)
    from paper join hand_over using (paper_id) join certificate holder using (number, version)
    where (series_id, serial) = (:series_id, :serial)
    union all
    select moment.at, 'paper-change:' || moment.act, array[account_name], document_number,
        moment.reason, jsonb_build_object('city_code', paper_change.city_code, 'number', number,
            'change_id', change_id, 'kind', kind)
    from paper join paper_change using (paper_id) cross join lateral (values
        ('asked', asked_at, asked_by, reason),
        (paper_change.state, decided_at, decided_by, coalesce(decline_reason, '')))
        as moment (act, at, account_name, reason)
    where (series_id, serial) = (:series_id, :serial) and moment.at is not null
) event
order by at, act limit 10000;

-- certificate_events(number) -> [Event]
-- All that happened to a certificate but to its papers.
select at, act, actors, document_number, reason, told from (
    select moment.at, 'batch:' || act as act, array[account_name] as actors,
        '' as document_number, '' as reason, jsonb_build_object('city_code', batch.city_code,
            'batch_id', batch_id, 'file_name', file_name, 'uscc', uscc,
            'institution', (select institution_name from institution
                where institution.uscc = batch.uscc and valid_from <= imported_at
                order by valid_from desc limit 1)) as told
    from certificate join batch using (batch_id) cross join lateral (values
        ('import', imported_at, imported_by), ('submit', submitted_at, submitted_by),
        ('approve', decided_at, decided_by)) as moment (act, at, account_name)
    where number = :number and version = 1 and moment.at is not null
    union all
    select uploaded_at, 'batch:join', array[uploaded_by], '', '', jsonb_build_object(
        'city_code', upload.city_code, 'batch_id', upload.batch_id, 'file_name', file_name)
    from certificate join upload using (batch_id)
    where number = :number and version = 1 and outcome = 'joined' and upload_id in (
        select result.upload_id from result
        where (result.batch_id, result.row_number) = (certificate.batch_id, certificate.row_number)
        union all
        select (former ->> 'upload_id')::bigint from result_before former_row
        where (former_row.batch_id, former_row.row_number)
            = (certificate.batch_id, certificate.row_number))
    union all
    select confirmed_at, 'adoption:confirm', array[asked_by, confirmed_by], document_number, '',
        jsonb_build_object('city_code', adoption.city_code)
    from certificate join adoption using (adoption_id) where number = :number
    union all
    select moment.at, 'certificate:' || act, '{}', '', '', jsonb_build_object(
        'city_code', city_code, 'version', version, 'identifier', identifier)
    from certificate cross join lateral (values ('seal', sealed_at), ('issue', issued_at))
        as moment (act, at)
    where number = :number and origin = 'sealed' and moment.at is not null
    union all
    select moment.at, 'change:' || moment.act, array[account_name], document_number,
        moment.reason, jsonb_build_object('city_code', city_code, 'change_id', change_id,
            'kind', kind, 'version', version)
    from change cross join lateral (values ('asked', asked_at, asked_by, reason),
        (state, decided_at, decided_by, coalesce(decline_reason, '')))
        as moment (act, at, account_name, reason)
    where number = :number and moment.at is not null
) event
order by at, act limit 10000;

-- certificates(numbers) -> [_Face]
-- Every version of these numbers, oldest first.
select number, version, city_code, origin, scheme_version, identifier, name, project_name, exam_on,
    archived_on, issuing_authority, state, standing, void_reason, void_asked_by, voided_by
from certificate where number = any(:numbers::text[])
order by number, version limit 10000;

-- papers(numbers) -> [_Paper]
-- Every paper of these numbers, in the order in which they were printed.
select number, version, series_code, serial, remark, coalesce(ended_to, paper.state) as state
from paper join blank_series using (series_id) where number = any(:numbers::text[])
order by paper_id limit 10000;

-- sheets(numbers) -> [_Drawn]
-- Every sheet that was drawn for these numbers, in the order of the rounds, and what it carries in truth.
select sheet.number, series_code, sheet.serial, run_id, round, outcome, paper.number as carries
from sheet join blank_series using (series_id) left join paper using (run_id, round, position)
where sheet.number = any(:numbers::text[])
order by run_id, round limit 10000;

-- carried(series_id, serial) -> [str]
-- The number that a sheet carries or carried.
select number from paper where (series_id, serial) = (:series_id, :serial);

-- of_person(person_keys) -> [_Named]
-- Every number of a person, with each name that it ever bore.
select distinct number, name from certificate where person_key = any(:person_keys::bytea[])
order by number limit 10000;
