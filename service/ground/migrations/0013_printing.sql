-- Printing: runs that bind serials to certificates, the papers that come of them, and what becomes
-- of a paper. Run before the code that uses it.

set local lock_timeout = '10s';

-- Runs: certificates that want paper, in rounds of blanks that a keeper draws and an operator settles.

create table print_run (
    run_id bigint generated always as identity primary key,
    city_code text not null references city,
    series_id int references blank_series,
    state text not null default 'planned'
        check (state in ('planned', 'drawn', 'settled', 'closed', 'cancelled')),
    planned_by text not null references account,
    planned_at timestamptz not null default now(),
    ended_by text references account,
    ended_at timestamptz,
    unique (run_id, city_code),
    constraint print_run_ended check ((state in ('closed', 'cancelled')) = (ended_by is not null)
        and (ended_by is null) = (ended_at is null)),
    constraint print_run_of_series check (series_id is not null or state in ('planned', 'cancelled'))
);

create table print_line (
    run_id bigint not null,
    position int not null check (position between 1 and 2000),
    city_code text not null,
    number text not null,
    version int not null,
    remark text not null check (remark in ('', '补发', '换发')),
    is_open boolean not null default true,
    primary key (run_id, position),
    foreign key (run_id, city_code) references print_run (run_id, city_code),
    foreign key (number, version) references certificate,
    unique (run_id, number)
);
comment on column print_line.is_open is 'Until its run has ended; kept by the trigger print_run_moves.';
create unique index print_line_open on print_line (number) where is_open;

create table print_round (
    run_id bigint not null,
    round int not null check (round > 0),
    city_code text not null,
    series_id int not null references blank_series,
    drawn_by text not null references account,
    drawn_at timestamptz not null default now(),
    pdf_count int not null default 0,
    profile_id bigint references printer_profile,
    settled_by text references account,
    settled_at timestamptz,
    primary key (run_id, round),
    foreign key (run_id, city_code) references print_run (run_id, city_code),
    constraint print_round_settled check ((settled_by is null) = (settled_at is null))
);
comment on column print_round.pdf_count is 'How often its faces were made; each time after the first may print a sheet twice.';
comment on column print_round.profile_id is 'The printer profile by which its faces were corrected the last time; null: none.';

create table sheet (
    run_id bigint not null,
    round int not null,
    position int not null check (position > 0),
    city_code text not null,
    series_id int not null references blank_series,
    serial int8 not null,
    number text not null,
    version int not null,
    outcome text check (outcome in ('printed', 'spoiled', 'returned')),
    primary key (run_id, round, position),
    foreign key (run_id, round) references print_round,
    foreign key (run_id, city_code) references print_run (run_id, city_code),
    foreign key (run_id, number) references print_line (run_id, number),
    unique (run_id, round, number)
);
comment on table sheet is 'A blank drawn to carry a certificate; what it carries in truth stands in paper.';
create unique index sheet_once on sheet (series_id, serial)
    where outcome is null or outcome = 'printed';

-- Papers: what is printed. A paper follows its blank: as a movement takes that, so its state is.

create table paper (
    paper_id bigint generated always as identity primary key,
    city_code text not null references city,
    series_id int not null references blank_series,
    serial int8 not null,
    number text not null,
    version int not null,
    remark text not null check (remark in ('', '补发', '换发')),
    run_id bigint not null,
    round int not null,
    position int not null,
    printed_at timestamptz not null default now(),
    state text not null default 'printed' check (state in ('printed', 'handed-over', 'ended')),
    ended_from text,
    ended_to text,
    foreign key (number, version) references certificate,
    foreign key (run_id, round, position) references sheet,
    constraint paper_serial unique (series_id, serial),
    constraint paper_ended check ((state = 'ended') = (ended_from is not null)
        and (state = 'ended') = (ended_to is not null))
);
comment on column paper.ended_to is 'Lost, or pending destruction: it decides what the next paper of the number says.';
create unique index paper_current on paper (number) where state <> 'ended';
create index paper_of_number on paper (number, paper_id);
create index paper_uncollected on paper (city_code, printed_at) where state = 'printed';

create table hand_over (
    paper_id bigint not null references paper,
    city_code text not null references city,
    handed_on date not null,
    agent_name text,
    authority_document text,
    document_number text not null check (document_number ~ '\S'),
    recorded_by text not null references account,
    recorded_at timestamptz not null default now(),
    id_checked boolean not null constraint hand_over_checked check (id_checked),
    constraint hand_over_agent check ((agent_name is null) = (authority_document is null)
        and agent_name ~ '\S' and authority_document ~ '\S')
);
comment on table hand_over is 'Who collected a paper: its holder, or an agent with a document of authority.';
create index hand_over_of_paper on hand_over (paper_id);
create index hand_over_of_document on hand_over (document_number);

create table paper_change (
    change_id bigint generated always as identity primary key,
    city_code text not null references city,
    paper_id bigint not null references paper,
    kind text not null
        check (kind in ('reissue', 'exchange', 'take-back', 'spoil', 'undo-hand-over')),
    paper_state text not null,
    reason text not null,
    document_number text not null,
    asked_by text not null references account,
    asked_at timestamptz not null default now(),
    state text not null default 'asked' check (state in ('asked', 'done', 'declined')),
    decided_by text references account,
    decided_at timestamptz,
    decline_reason text,
    constraint paper_change_grounded check (
        reason ~ '\S' and document_number ~ '\S' and decline_reason ~ '\S'),
    constraint paper_change_two_persons check (state <> 'done' or decided_by <> asked_by),
    constraint paper_change_decided check (
        (state = 'asked') = (decided_by is null) and (state = 'asked') = (decided_at is null)
        and (state = 'declined') = (decline_reason is not null))
);
comment on column paper_change.paper_state is 'Where the paper stood when it was asked; what is handed over since is confirmed no more.';
create unique index paper_change_open on paper_change (paper_id) where state = 'asked';

create function paper_change_movement(kind text, state text, standing text) returns text
    language sql immutable
    return case
        when kind = 'reissue' and state in ('printed', 'handed-over') and standing = 'valid'
            then 'lose'
        when kind = 'exchange' and state = 'handed-over' and standing = 'valid' then 'recall'
        when kind = 'take-back' and state = 'handed-over' and standing in ('revoked', 'cancelled')
            then 'recall'
        when kind = 'take-back' and state = 'printed' and standing in ('revoked', 'cancelled')
            then 'spoil'
        when kind = 'spoil' and state = 'printed' then 'spoil'
        when kind = 'undo-hand-over' and state = 'handed-over' then 'counter'
    end;
comment on function paper_change_movement is 'How a change moves a paper whose certificate stands so, or null where there is no such change.';

-- What moves how. Whatever is refused here the program has refused before, with its reasons.

create function printing_impossible(guard text) returns void language plpgsql as $$
begin
    raise exception 'printing does not go like this'
        using errcode = 'integrity_constraint_violation', constraint = guard;
end
$$;

create function print_run_moves() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'planned' or new.series_id is not null then
            perform printing_impossible('print_run_moves');
        end if;
        return new;
    end if;
    if (old.run_id, old.city_code, old.planned_by, old.planned_at)
            is distinct from (new.run_id, new.city_code, new.planned_by, new.planned_at)
        or old.state || ' ' || new.state <> all (array['planned drawn', 'drawn settled',
            'settled drawn', 'settled closed', 'planned cancelled', 'settled cancelled'])
        or new.state = 'cancelled' and exists (
            select from sheet where run_id = new.run_id and outcome <> 'returned') then
        perform printing_impossible('print_run_moves');
    end if;
    if new.state = 'closed' then
        -- Drawn = printed + spoiled + returned, in the books as on the sheets.
        if exists (
            select from (
                select kind, sum(upper(serials) - lower(serials)) as moved from blank_movement
                where subject = 'print-run:' || new.run_id group by kind
            ) as books full join (
                select unnest(array['draw', case outcome when 'printed' then 'print'
                    when 'spoiled' then 'spoil' when 'returned' then 'return' end]) as kind,
                    count(*) as moved
                from sheet where run_id = new.run_id group by 1
            ) as sheets using (kind)
            where books.moved is distinct from sheets.moved) then
            perform printing_impossible('print_run_moves');
        end if;
    end if;
    if new.state in ('closed', 'cancelled') then
        update print_line set is_open = false where run_id = new.run_id;
    end if;
    return new;
end
$$;
create trigger print_run_moves before insert or update on print_run
    for each row execute function print_run_moves();

create function print_line_fits() returns trigger language plpgsql as $$
begin
    if not new.is_open or not exists (
            select from print_run where run_id = new.run_id and state = 'planned') then
        perform printing_impossible('print_line_fits');
    end if;
    return new;
end
$$;
create trigger print_line_fits before insert on print_line
    for each row execute function print_line_fits();

create function print_round_moves() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
declare
    run print_run;
begin
    select * into run from print_run where run_id = new.run_id for update;
    if tg_op = 'INSERT' then
        if run.state not in ('planned', 'settled') or new.pdf_count <> 0
            or new.settled_by is not null or new.series_id <> run.series_id
            or new.round <> 1 + (select count(*) from print_round where run_id = new.run_id) then
            perform printing_impossible('print_round_moves');
        end if;
        update print_run set state = 'drawn', series_id = new.series_id
            where run_id = new.run_id;
        return new;
    end if;
    if old.settled_by is not null
        or to_jsonb(old) - array['pdf_count', 'profile_id', 'settled_by', 'settled_at']
            <> to_jsonb(new) - array['pdf_count', 'profile_id', 'settled_by', 'settled_at']
        or new.pdf_count = old.pdf_count and new.profile_id is distinct from old.profile_id
        or new.pdf_count - old.pdf_count not in (0, 1)
        or new.settled_by is not null and (
            not exists (select from sheet
                where (run_id, round) = (new.run_id, new.round))
            or exists (select from sheet left join paper using (run_id, round, position)
                where (run_id, round) = (new.run_id, new.round) and (outcome is null
                    or (outcome = 'printed') <> (paper_id is not null)))) then
        perform printing_impossible('print_round_moves');
    end if;
    if new.settled_by is not null then
        update print_run set state = 'settled' where run_id = new.run_id;
    end if;
    return new;
end
$$;
create trigger print_round_moves before insert or update on print_round
    for each row execute function print_round_moves();

create function printing_two_persons() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if tg_table_name = 'print_run' then
        perform from print_round where run_id = new.run_id and settled_by = new.ended_by;
    else
        perform from print_run where run_id = new.run_id and planned_by = new.drawn_by;
    end if;
    if found then
        perform printing_impossible(tg_name);
    end if;
    return new;
end
$$;
comment on function printing_two_persons is 'Who plans does not draw, who settles does not close.';
create trigger print_round_two_persons before insert on print_round
    for each row execute function printing_two_persons();
create trigger print_run_two_persons before update on print_run
    for each row when (new.state = 'closed') execute function printing_two_persons();

create function sheet_moves() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' and (new.outcome is not null
            or not exists (select from print_round where (run_id, round, series_id)
                = (new.run_id, new.round, new.series_id) and settled_by is null)
            or not exists (select from print_line where (run_id, number, version)
                = (new.run_id, new.number, new.version)))
        or tg_op = 'UPDATE' and (old.outcome is not null
            or to_jsonb(old) - 'outcome' <> to_jsonb(new) - 'outcome') then
        perform printing_impossible('sheet_moves');
    end if;
    return new;
end
$$;
create trigger sheet_moves before insert or update on sheet
    for each row execute function sheet_moves();

create function paper_is_printed() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    perform from certificate where (number, version, state) = (new.number, new.version, 'issued')
        and standing in ('valid', 'suspended') for share;
    if not found or new.state <> 'printed' or not exists (
            select from sheet on_it join sheet planned using (run_id, round)
            where (on_it.run_id, on_it.round, on_it.position, on_it.series_id, on_it.serial,
                    on_it.city_code, on_it.outcome)
                = (new.run_id, new.round, new.position, new.series_id, new.serial,
                    new.city_code, 'printed')
                and (planned.number, planned.version) = (new.number, new.version)) then
        perform printing_impossible('paper_is_printed');
    end if;
    return new;
end
$$;
comment on function paper_is_printed is 'Only a printed sheet of the round, for a certificate of the round that still stands.';
create trigger paper_is_printed before insert on paper
    for each row execute function paper_is_printed();

create function paper_follows() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    update paper set
        state = case when new.to_state in ('printed', 'handed-over') then new.to_state
            else 'ended' end,
        ended_from = case when new.to_state not in ('printed', 'handed-over')
            then new.from_state end,
        ended_to = case when new.to_state not in ('printed', 'handed-over') then new.to_state end
    where series_id = new.series_id and serial >= lower(new.serials) and serial < upper(new.serials)
        and state = new.from_state;
    return null;
end
$$;
comment on function paper_follows is 'The only way in which a paper changes: whichever room moves its blank.';
create trigger paper_follows after insert on blank_movement
    for each row when (new.from_state in ('printed', 'handed-over'))
    execute function paper_follows();

create function hand_over_stands() returns trigger language plpgsql as $$
begin
    perform from certificate join paper using (number, version)
        where paper_id = new.paper_id and paper.state = 'printed'
            and paper.city_code = new.city_code
            and certificate.state = 'issued' and standing = 'valid'
        for share of certificate;
    if not found then
        perform printing_impossible('hand_over_stands');
    end if;
    return new;
end
$$;
create trigger hand_over_stands before insert on hand_over
    for each row execute function hand_over_stands();

create function paper_change_moves() returns trigger language plpgsql as $$
declare
    deciding constant text[] := array['state', 'decided_by', 'decided_at', 'decline_reason'];
begin
    if tg_op = 'INSERT' and new.state <> 'asked'
        or tg_op = 'UPDATE' and (old.state <> 'asked'
            or to_jsonb(old) - deciding <> to_jsonb(new) - deciding) then
        perform printing_impossible('append_only');
    end if;
    if new.state <> 'declined' then
        perform from paper join certificate using (number)
            where paper_id = new.paper_id and paper.city_code = new.city_code
                and paper.state = new.paper_state and standing <> 'replaced' and certificate.state <> 'void'
                and paper_change_movement(new.kind, paper.state, standing) is not null
            for share of certificate;
        if not found then
            perform printing_impossible('paper_change_moves');
        end if;
    end if;
    return new;
end
$$;
create trigger paper_change_moves before insert or update on paper_change
    for each row execute function paper_change_moves();

do $$
declare
    name text;
begin
    foreach name in array array['print_run', 'print_line', 'print_round', 'sheet', 'paper',
            'paper_change'] loop
        execute format('create trigger never_deleted before delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    create trigger append_only before update or delete on hand_over
        for each row execute function refuse_change();
    foreach name in array array['print_run', 'print_line', 'print_round', 'sheet', 'paper',
            'paper_change', 'hand_over'] loop
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
grant select on print_run, print_line, print_round, sheet, paper, hand_over, paper_change
    to qianfa_console;
grant insert (city_code, planned_by) on print_run to qianfa_console;
grant update (state, ended_by, ended_at) on print_run to qianfa_console;
-- The console ends runs; between that and their plan they move as their rounds do.
create policy only_ends on print_run as restrictive for update to qianfa_console
    using (true) with check (state in ('closed', 'cancelled'));
grant insert (run_id, position, city_code, number, version, remark) on print_line to qianfa_console;
grant insert (run_id, round, city_code, series_id, drawn_by) on print_round to qianfa_console;
grant update (pdf_count, profile_id, settled_by, settled_at) on print_round to qianfa_console;
grant insert (run_id, round, position, city_code, series_id, serial, number, version) on sheet
    to qianfa_console;
grant update (outcome) on sheet to qianfa_console;
grant insert (city_code, series_id, serial, number, version, remark, run_id, round, position)
    on paper to qianfa_console;
grant insert on hand_over, paper_change to qianfa_console;
grant update (state, decided_by, decided_at, decline_reason) on paper_change to qianfa_console;

-- The last digits of a paper's serial are public, so that a paper can be compared; no more of it is.

create view paper_shown with (security_barrier) as
    select number, version, right(lpad(serial::text, digit_count, '0'), 4) as paper_digits
    from paper join blank_series using (series_id) where state <> 'ended';
comment on view paper_shown is 'The current paper of a certificate, as far as the public may know it.';
grant select on paper_shown to qianfa_public;

create or replace view entry with (security_invoker = true) as
    select number, version, public_id, name, project_name, exam_on, archived_on,
        issuing_authority,
        case when standing = 'replaced' then standing_of_replaced(number) else standing end
            as standing,
        case when standing = 'replaced' then (
            select max(newer.version) from certificate newer
            where newer.number = held.number and newer.version > held.version
                and newer.state = 'issued') end as successor,
        origin, status_index, statement_host, sealed_at, coalesce(specimen, false) as specimen,
        pdf_sha256, range_sha256,
        (select paper_digits from paper_shown
            where (paper_shown.number, paper_shown.version) = (held.number, held.version))
            as paper_digits
    from certificate held left join seal_certificate on fingerprint = seal_fingerprint
    where state = 'issued';

-- What a settled round says, told once and compared later.

create view print_round_content with (security_invoker = true) as
    select sheet.city_code, run_id, round, encode(sha256(convert_to(string_agg(concat_ws(' ',
        position, sheet.series_id, sheet.serial, sheet.number, sheet.version, outcome, paper.number,
        paper.version, paper.remark), E'\n' order by position), 'UTF8')), 'hex') as digest
    from sheet left join paper using (run_id, round, position)
    group by sheet.city_code, run_id, round;
comment on view print_round_content is 'A SHA-256 of all sheets of a round and what they bear; the journal keeps it as the round is settled.';
grant select on print_round_content to qianfa_console;

create unique index paper_of_sheet on paper (run_id, round, position);
