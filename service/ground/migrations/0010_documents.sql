-- Documents: the forms that were sealed, and the scans that belong to what people signed on paper.
-- Run before the code that uses it.

set local lock_timeout = '10s';

create table sealed_document (
    sha256 bytea primary key check (length(sha256) = 32),
    city_code text not null references city,
    kind text not null
        check (kind in ('requisition', 'ledger', 'summary', 'hand-over', 'destruction', 'count')),
    subject text not null check (length(subject) between 1 and 200),
    page_count int not null check (page_count > 0),
    sealed_at timestamptz not null,
    seal_fingerprint bytea not null references seal_certificate,
    asked_by text not null references account
);
comment on table sealed_document is 'Forms that carry our seal and are no certificates; the files themselves are not kept.';

create table attachment (
    subject_kind text not null check (subject_kind in
        ('requisition', 'consignment', 'order', 'print-run', 'hand-over', 'stocktake')),
    subject text not null check (length(subject) between 1 and 200),
    sha256 bytea not null check (length(sha256) = 32),
    city_code text not null references city,
    file_name text not null check (length(file_name) between 1 and 200),
    media_type text not null check (media_type in ('application/pdf', 'image/jpeg', 'image/png')),
    byte_count int not null check (byte_count between 1 and 20 << 20),
    attached_by text not null references account,
    attached_at timestamptz not null default now(),
    primary key (city_code, subject_kind, subject, sha256)
);
comment on table attachment is 'Scans, never parsed; the bytes lie under their digest in the store before the row is written.';
create index attachment_bytes on attachment (sha256);

create function attachment_city(kind text, named text) returns text language plpgsql stable as $$
begin
    return case kind
        when 'requisition' then
            (select city_code from requisition where requisition_id::text = named)
        when 'consignment' then
            (select city_code from consignment where consignment_id::text = named)
        when 'order' then (select city_code from blank_order where order_id::text = named)
        when 'print-run' then (select city_code from print_run where run_id::text = named)
        when 'hand-over' then
            (select min(city_code) from hand_over where document_number = named
            having min(city_code) = max(city_code))
        when 'stocktake' then (select city_code from stocktake where stocktake_id::text = named)
    end;
end
$$;
comment on function attachment_city is 'Whose a subject is, if who asks may see it and it is one city''s; later migrations make its tables, which are looked up as it runs.';

create function attachment_belongs() returns trigger language plpgsql as $$
begin
    if new.city_code is distinct from attachment_city(new.subject_kind, new.subject) then
        raise exception 'nothing there to attach to'
            using errcode = 'integrity_constraint_violation', constraint = 'attachment_belongs';
    end if;
    return new;
end
$$;
create trigger attachment_belongs before insert on attachment
    for each row execute function attachment_belongs();

do $$
declare
    name text;
begin
    foreach name in array array['sealed_document', 'attachment'] loop
        execute format('create trigger append_only before update or delete on %I
            for each row execute function refuse_change()', name);
        execute format('create trigger append_only_whole before truncate on %I
            for each statement execute function refuse_change()', name);
        execute format('alter table %I enable row level security', name);
        execute format('create policy own_city on %I to qianfa_console
            using (acting_for(city_code)) with check (acting_for(city_code))', name);
        execute format('grant select, insert on %I to qianfa_console', name);
    end loop;
end
$$;
create policy everyone_sees on sealed_document for select to qianfa_public using (true);
grant select (sha256, city_code, sealed_at, seal_fingerprint) on sealed_document to qianfa_public;
