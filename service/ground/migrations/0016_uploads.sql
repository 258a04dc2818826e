-- Uploads: every results file that came in and what became of it; rows that are known again, mended
-- while their batch is open, or left out of it by choice. Nothing that was once said is lost.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table upload (
    upload_id bigint generated always as identity primary key,
    city_code text not null references city,
    uscc text not null,
    batch_id bigint references batch,
    outcome text not null check (outcome in ('refused', 'imported', 'joined')),
    file_name text not null,
    file_sha256 bytea not null check (length(file_sha256) = 32),
    file_form text not null,
    row_count int not null,
    good_count int not null check (good_count between 0 and row_count),
    compared_with text not null check (compared_with in ('nothing', 'upload', 'batch')),
    new_count int not null,
    mended_count int not null,
    unchanged_count int not null,
    gone_count int not null,
    marks bytea not null,
    uploaded_by text not null references account,
    uploaded_at timestamptz not null default now(),
    constraint upload_whole check (outcome = 'refused' or (batch_id is not null and good_count > 0)),
    constraint upload_counted check (new_count + mended_count + unchanged_count = row_count
        and length(marks) = 40 * row_count)
);
comment on column upload.batch_id is 'The batch it became or came for; null where it was refused as a new one.';
comment on column upload.compared_with is 'What its rows are new, mended or unchanged against: the batch, or the upload before.';
comment on column upload.marks is 'For each row 40 bytes: its row_key, and keyed hashes of its person and project, its admission number, and all it says.';
create index upload_of_institution on upload (city_code, uscc, upload_id);
create index upload_of_batch on upload (batch_id);

drop trigger append_only on result;
alter table result
    add column row_key bytea check (length(row_key) = 10),
    add column upload_id bigint references upload;
-- What is not decided yet may still be mended, so its rows are known from now on.
update result set row_key = substr(sha256(int8send(result.batch_id) || int4send(row_number)), 1, 10)
    from batch where batch.batch_id = result.batch_id and state not in ('approved', 'withdrawn');
alter table result
    add constraint result_row_once unique (batch_id, row_key),
    add constraint result_admission_once
        exclude (batch_id with =, admission_number with =) where (upload_id is not null) deferrable,
    add constraint result_known check (num_nonnulls(row_key, upload_id) = 2) not valid,
    drop constraint result_person_once,
    add constraint result_person_once unique (batch_id, person_key, project_name) deferrable;
comment on column result.row_key is 'By which a later upload knows the row again; null in rows that were decided before there were any.';
comment on column result.upload_id is 'The upload that brought the row as it stands; null in rows from before there were any.';

create table result_before (
    batch_id bigint not null,
    row_number int not null,
    city_code text not null references city,
    mended_by bigint not null references upload,
    former jsonb not null,
    primary key (batch_id, row_number, mended_by),
    foreign key (batch_id, row_number) references result
);
comment on table result_before is 'What a row said until an upload mended it.';

create table left_out (
    upload_id bigint not null references upload,
    row_key bytea not null check (length(row_key) = 10),
    city_code text not null references city,
    batch_id bigint not null references batch,
    row_number int not null,
    admission_number text,
    findings jsonb not null check (jsonb_typeof(findings) = 'array' and findings <> '[]'),
    trace bytea not null check (length(trace) = 40),
    joined_by bigint references upload,
    primary key (upload_id, row_key)
);
comment on table left_out is 'Rows of an upload that its uploader chose to leave out, with what was wrong; for ever.';
comment on column left_out.joined_by is 'The upload that brought the row without errors.';
create index left_out_of_batch on left_out (batch_id, row_key);

-- Rows enter, change and are left out only while their batch is open, with an upload of that batch.

create function rows_are_of_open_batch() returns trigger language plpgsql as $$
begin
    perform from batch where batch_id in (select batch_id from added) order by batch_id for share;
    if exists (
        select from (select distinct batch_id, city_code, upload_id from added) one
        where not exists (
            select from batch join upload using (batch_id, city_code)
            where batch_id = one.batch_id and city_code = one.city_code
                and upload_id = one.upload_id and state in ('draft', 'returned'))) then
        raise exception 'the batch is not open for these rows'
            using errcode = 'integrity_constraint_violation', constraint = 'batch_is_open';
    end if;
    return null;
end
$$;
create trigger batch_is_open after insert on result referencing new table as added
    for each statement execute function rows_are_of_open_batch();
create trigger batch_is_open after insert on left_out referencing new table as added
    for each statement execute function rows_are_of_open_batch();

create function result_is_mended() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
begin
    if (old.batch_id, old.row_number, old.city_code, old.row_key)
            is distinct from (new.batch_id, new.row_number, new.city_code, new.row_key)
        or new.upload_id <= old.upload_id then
        raise exception 'a row stays itself, and what mends it comes later'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    perform from batch join upload using (batch_id) where batch_id = new.batch_id
        and upload_id = new.upload_id and state in ('draft', 'returned') for share of batch;
    if not found then
        raise exception 'the batch is not open'
            using errcode = 'integrity_constraint_violation', constraint = 'batch_is_open';
    end if;
    insert into result_before (batch_id, row_number, city_code, mended_by, former)
        values (old.batch_id, old.row_number, old.city_code, new.upload_id, to_jsonb(old));
    return new;
end
$$;
create trigger result_is_mended before update on result
    for each row execute function result_is_mended();

create function left_out_joins_once() returns trigger language plpgsql as $$
begin
    if old.joined_by is not null or to_jsonb(old) - 'joined_by' <> to_jsonb(new) - 'joined_by'
        or not exists (
            select from result join upload using (batch_id)
            where batch_id = new.batch_id and result.row_key = new.row_key
                and upload.upload_id = new.joined_by) then
        raise exception 'what was left out joins once'
            using errcode = 'integrity_constraint_violation', constraint = 'append_only';
    end if;
    return new;
end
$$;
create trigger joins_once before update on left_out
    for each row execute function left_out_joins_once();

do $$
declare
    name text;
begin
    foreach name in array array['upload', 'result_before'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
    end loop;
    create trigger never_deleted before delete on left_out
        for each row execute function refuse_change();
    foreach name in array array['upload', 'result_before', 'left_out'] loop
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
    end loop;
end
$$;
grant select, insert on upload, left_out to qianfa_console;
grant select on result_before to qianfa_console;
grant update (joined_by) on left_out to qianfa_console;
grant update (admission_number, name, sex, id_kind, id_encrypted, person_key, born_on,
    phone_encrypted, phone_key, project_name, exam_on, theory, practice, total, passed, remark,
    upload_id) on result to qianfa_console;
